"""The administrations Chikaya knows: the opening registry, as shipped with the project."""

import csv
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

MUNICIPAL = "commune"
"""What a classifier answers for a municipal matter: the place of the complaint tells which commune."""

MUNICIPAL_FALLBACK = "interieur"
"""Who takes a municipal matter of a commune that is not on board yet, and what nobody else can take."""

SECOND_RESORT = "justice"
"""Who takes what is complained of the last resort itself."""

RESORTS = (MUNICIPAL_FALLBACK, SECOND_RESORT)
"""They are always on board."""

_REGISTRY = Path(__file__).with_name("administrations.csv")


class Onboarding(StrEnum):
    """What is announced of an administration, as the list says; the dispatcher's registry knows what is so."""

    READY = "ready"
    FINALISING = "finalising"
    PLANNED = "planned"


class AdministrationState(StrEnum):
    """Where an administration stands: it gets complaints when `ready`; before, they are parked."""

    LISTED = "listed"
    REQUESTED = "requested"
    PROVISIONED = "provisioned"
    RELEASING = "releasing"
    READY = "ready"
    OFFBOARDING = "offboarding"
    OFFBOARDED = "offboarded"


@dataclass(frozen=True, slots=True)
class Administration:
    """One body. `parent` takes over on behalf of it; the root of the tree is its own parent.

    `terms` are words people use for its matters, in French, Arabic and arabizi.
    """

    code: str
    kind: str
    parent: str
    name_fr: str
    name_ar: str
    onboarding: Onboarding
    terms: tuple[str, ...]

    def name(self, language: str) -> str:
        """The Arabic name for Arabic and Darija in Arabic script, else the French one."""
        return self.name_ar if language in ("ar", "ary") else self.name_fr


@cache
def registry() -> dict[str, Administration]:
    """All administrations by code, in the order of the file. Raises ValueError when a parent is unknown."""
    with _REGISTRY.open(encoding="utf-8", newline="") as file:
        rows = [_administration(row) for row in csv.DictReader(file)]
    known = {row.code: row for row in rows}
    for row in rows:
        if row.parent not in known:
            raise ValueError(f"administration {row.code} names an unknown parent {row.parent!r}")
    return known


def _administration(row: dict[str, str]) -> Administration:
    return Administration(
        code=row["code"],
        kind=row["kind"],
        parent=row["parent"],
        name_fr=row["name_fr"],
        name_ar=row["name_ar"],
        onboarding=Onboarding(row["onboarding"]),
        terms=tuple(term.strip() for term in row["terms"].split(",")),
    )
