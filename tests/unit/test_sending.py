"""When to try again, and when to leave a provider alone."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.sending import Accepted, Blame, Circuit, Outcome, Postponed, Refused, RetryPolicy
from shared.testing.builders import NOON

POLICY = RetryPolicy(first=timedelta(seconds=4), patience=timedelta(hours=1))
DOWN = Postponed(Blame.PROVIDER, "down")
THROTTLED = Postponed(Blame.THROTTLED, "throttled")


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 4), (2, 8), (5, 64), (50, 900)])
def test_waits_double_up_to_a_quarter_of_an_hour(attempts: int, seconds: int) -> None:
    assert POLICY.next_attempt(DOWN, attempts, NOON, NOON, jitter=1.0) == NOON + timedelta(seconds=seconds)
    assert POLICY.next_attempt(DOWN, attempts, NOON, NOON, jitter=0.0) == NOON + timedelta(seconds=seconds / 2)


def test_patience_ends() -> None:
    assert POLICY.next_attempt(DOWN, 3, NOON, NOON + timedelta(hours=1), jitter=0.5) is None


def test_a_throttled_message_is_due_again_soon_whatever_its_attempts() -> None:
    again = POLICY.next_attempt(THROTTLED, 30, NOON, NOON, jitter=0.5)
    assert again == NOON + timedelta(seconds=1)


def test_a_broken_provider_is_tried_with_one_message_after_a_pause_that_doubles() -> None:
    circuit = Circuit(10, tolerated=3, pause=timedelta(seconds=2))
    for _ in range(5):
        circuit.note(DOWN, NOON, 1.0)
    assert circuit.broken
    assert circuit.allowance(NOON) == 0
    later = NOON + timedelta(seconds=2)
    assert circuit.allowance(later) == 1
    circuit.note(DOWN, later, 1.0)
    assert circuit.allowance(later + timedelta(seconds=3)) == 0
    assert circuit.allowance(later + timedelta(seconds=4)) == 1
    circuit.note(Accepted(), later + timedelta(seconds=4), 1.0)
    assert circuit.allowance(later + timedelta(seconds=4)) == 10


def test_throttling_halves_the_window_and_acceptances_widen_it() -> None:
    circuit = Circuit(8)
    circuit.note(THROTTLED, NOON, 1.0)
    assert circuit.allowance(NOON) == 0
    later = NOON + timedelta(seconds=1)
    assert circuit.allowance(later) == 4
    for _ in range(10):
        circuit.note(Accepted(), later, 1.0)
    assert circuit.allowance(later) == 8


@given(st.lists(st.sampled_from([DOWN, THROTTLED, Accepted(), Refused("no"), Postponed(Blame.MESSAGE, "later")])))
def test_a_provider_is_never_left_alone_for_good(outcomes: list[Outcome]) -> None:
    circuit = Circuit(4)
    for outcome in outcomes:
        circuit.note(outcome, NOON, 1.0)
        assert circuit.allowance(NOON) <= 4
    assert circuit.allowance(NOON + timedelta(seconds=61)) >= 1
