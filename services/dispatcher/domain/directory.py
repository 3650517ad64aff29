"""Who is on board, and who stands above whom. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.contracts.administrations import MUNICIPAL, MUNICIPAL_FALLBACK, SECOND_RESORT
from shared.contracts.events import Place

_COMMUNE = "commune-"


@dataclass(frozen=True, slots=True)
class Directory:
    """The registry of administrations as one transaction sees it."""

    parents: Mapping[str, str]
    on_board: frozenset[str]

    def resolve(self, administration: str, place: Place | None) -> str:
        """Who answers: a municipal matter is its commune's, or the fallback's until that is on board."""
        if administration == MUNICIPAL:
            administration = f"{_COMMUNE}{place.commune if place else None}"
        if not administration.startswith(_COMMUNE):
            return administration
        return administration if administration in self.on_board else MUNICIPAL_FALLBACK

    def beside(self, administration: str, against: str | None) -> str:
        """The administration, or who stands above it when it is the one complained of."""
        return self.nearest(administration, against) if administration == against else administration

    def nearest(self, administration: str, against: str | None = None) -> str:
        """The administration if on board, else its nearest ancestor that is, else the last resort; never `against`."""
        seen: set[str] = set()
        while administration not in seen:
            if administration in self.on_board and administration != against:
                return administration
            seen.add(administration)
            administration = self.parents.get(administration, MUNICIPAL_FALLBACK)
        return MUNICIPAL_FALLBACK if against != MUNICIPAL_FALLBACK else SECOND_RESORT
