"""Complaints as people see them: the receipt, and where one stands."""

from dataclasses import dataclass
from datetime import datetime

from services.portal.domain.languages import PageLanguage
from shared.contracts.lifecycle import NOT_FORWARDED, WORKED_ON, CaseStatus
from shared.contracts.reference import parse_reference

_LONGEST_CODE = 40


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the citizen keeps."""

    reference: str
    access_code: str
    received_at: datetime

    def code_in_fours(self) -> list[str]:
        """The code in groups that are easy to copy down."""
        return [self.access_code[start : start + 4] for start in range(0, len(self.access_code), 4)]


@dataclass(frozen=True, slots=True)
class NamedAdministration:
    """An administration, with its name in both languages."""

    code: str
    name_fr: str
    name_ar: str

    def name(self, language: PageLanguage) -> str:
        """Its name in the language of the page."""
        return self.name_ar if language == "ar" else self.name_fr


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a complaint: a `Change`, or what became of a notification."""

    at: datetime
    change: str
    administration: NamedAdministration | None = None


@dataclass(frozen=True, slots=True)
class FollowedComplaint:
    """Where a complaint stands. Deadlines are None until they are computed, moments after receipt."""

    reference: str
    status: CaseStatus
    since: datetime
    received_at: datetime
    administration: NamedAdministration | None = None
    on_behalf_of: NamedAdministration | None = None
    forward_by: datetime | None = None
    answer_by: datetime | None = None
    answer: str | None = None
    timeline: tuple[Step, ...] = ()

    def awaited_forwarding(self) -> datetime | None:
        """The deadline of the handing over, until it is done."""
        return self.forward_by if self.status in NOT_FORWARDED else None

    def awaited_answer(self) -> datetime | None:
        """The deadline of the answer, until there is one."""
        return self.answer_by if self.status in (*NOT_FORWARDED, *WORKED_ON) else None


def credentials(reference: str, access_code: str) -> tuple[str, str] | None:
    """Reference and code in canonical form, None when they cannot belong to any complaint."""
    canonical = parse_reference(reference)
    digits = "".join(str(int(character)) for character in access_code if character.isdecimal())
    return (canonical, digits) if canonical and 0 < len(digits) <= _LONGEST_CODE else None
