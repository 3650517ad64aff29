"""Reference, access code and deadlines."""

from datetime import UTC, date, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.dispatcher.domain.clocks import Policy
from shared.contracts.reference import AccessCodes, parse_reference, reference

COMPLAINT = UUID("018f0000-0000-7000-8000-000000000001")


@given(st.dates(date(2020, 1, 1), date(2099, 12, 31)), st.integers(0, 10**8 - 1), st.integers(0, 14), st.integers(1, 9))
def test_a_single_wrong_digit_is_caught(day: date, number: int, place: int, shift: int) -> None:
    text = reference(day, number)
    digits = [c for c in text if c.isdigit()]
    assert parse_reference(" ".join(digits)) == text
    digits[place] = str((int(digits[place]) + shift) % 10)
    assert parse_reference("".join(digits)) is None


def test_access_code_follows_key_and_issue_and_accepts_arabic_digits() -> None:
    codes = AccessCodes({"k1": b"one", "k2": b"two"}, current="k2")
    code = codes.code(COMPLAINT, "k1", 1)
    assert len(code) == 8
    assert codes.code(COMPLAINT, "k1", 2) != code
    assert codes.code(COMPLAINT, "k2", 1) != code
    assert codes.matches("".join("٠١٢٣٤٥٦٧٨٩"[int(c)] for c in code), COMPLAINT, "k1", 1)
    assert not codes.matches("00000000" if code != "00000000" else "1" * 8, COMPLAINT, "k1", 1)


def test_deadlines_are_the_end_of_the_day_in_casablanca() -> None:
    late_evening = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    deadlines = Policy.load().deadlines(late_evening)
    assert deadlines.forward_by == datetime(2026, 12, 10, 22, 59, 59, tzinfo=UTC), "receipt day is already the 25th"
    assert deadlines.answer_by == datetime(2027, 1, 24, 22, 59, 59, tzinfo=UTC)
