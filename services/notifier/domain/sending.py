"""What a provider may answer, when to try again, and when to leave a provider alone. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

_LONGEST_WAIT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the whole message over: it said so."""


class Blame(StrEnum):
    """What keeps a message from going out now."""

    MESSAGE = "message"
    THROTTLED = "throttled"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Postponed:
    """Not now. `reason` never holds an address."""

    blame: Blame
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Never on this channel."""

    reason: str


Outcome = Accepted | Postponed | Refused


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one part after the provider had accepted it."""

    provider_id: str
    delivered: bool


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`first` is the wait after the first failure; it doubles. After `patience` a message is given up.

    Where the provider throttles, the message itself is not at fault: it waits for `throttled`.
    """

    first: timedelta = timedelta(seconds=5)
    patience: timedelta = timedelta(hours=24)
    throttled: timedelta = timedelta(seconds=1)

    def next_attempt(
        self, postponed: Postponed, attempts: int, since: datetime, now: datetime, jitter: float
    ) -> datetime | None:
        """When to try again, None for never. `jitter` is 0..1; `attempts` counts the one that just failed."""
        if now - since >= self.patience:
            return None
        if postponed.blame is Blame.THROTTLED:
            return now + self.throttled * (0.5 + jitter)
        wait: timedelta = min(self.first * 2 ** min(attempts - 1, 20), _LONGEST_WAIT)
        return now + wait * (0.5 + jitter / 2)


class Circuit:
    """How many messages one provider is given at a time.

    When the provider throttles, nothing is sent for the time `throttled` and the window halves; it grows by one with
    each message accepted. After `tolerated`
    failures of the provider in a row nothing is sent for a pause, then one message is tried; the pause doubles from
    one failed trial to the next.
    """

    def __init__(
        self,
        window: int,
        *,
        tolerated: int = 5,
        pause: timedelta = timedelta(seconds=1),
        longest: timedelta = timedelta(seconds=60),
        throttled: timedelta = timedelta(seconds=1),
    ) -> None:
        self._largest = window
        self._window = window
        self._tolerated = tolerated
        self._first_pause = pause
        self._longest = longest
        self._throttled = throttled
        self._failures = 0
        self._pause = pause
        self._closed_until: datetime | None = None

    def allowance(self, now: datetime) -> int:
        """The most messages that may be under way now."""
        if self._closed_until is not None and now < self._closed_until:
            return 0
        return 1 if self.broken else self._window

    @property
    def broken(self) -> bool:
        """Whether the provider is left alone, a trial now and then excepted."""
        return self._failures >= self._tolerated

    def note(self, outcome: Outcome, now: datetime, jitter: float) -> None:
        """Learns from an answer. `jitter` is 0..1."""
        if isinstance(outcome, Postponed) and outcome.blame is Blame.PROVIDER:
            self._failures += 1
            if self.broken and (self._closed_until is None or now >= self._closed_until):
                self._closed_until = now + self._pause * (0.5 + jitter / 2)
                self._pause = min(self._pause * 2, self._longest)
            return
        if isinstance(outcome, Postponed) and outcome.blame is Blame.THROTTLED:
            self._window = max(1, self._window // 2)
            self._closed_until = now + self._throttled * (0.5 + jitter / 2)
        elif isinstance(outcome, Accepted):
            self._window = min(self._largest, self._window + 1)
        self._failures = 0
        self._pause = self._first_pause
