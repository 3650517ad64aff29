"""Rate limits: 429 with `Retry-After` and the RateLimit headers (IETF draft-ietf-httpapi-ratelimit-headers).

Counted in the memory of one instance: with several, a sender may do several times as much, which is still an end.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from shared.runtime.problems import Problem

_MOST_SENDERS = 100_000


class RateLimit:
    """At most `quota` in any `window` seconds from each sender, in bursts as wanted (generic cell rate algorithm)."""

    def __init__(self, name: str, quota: int, window: int, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._quota = quota
        self._window = window
        self._seconds = seconds
        self._each = window / quota
        self._full_until: OrderedDict[str, float] = OrderedDict()
        """Sender → when all of the quota is free again."""

    def spend(self, sender: str) -> dict[str, str]:
        """Counts one; the headers to answer with. Raises a 429 Problem, and then counts nothing."""
        self.require(sender)
        now = self._seconds()
        self._full_until[sender] = max(self._full_until.pop(sender, now), now) + self._each
        if len(self._full_until) > _MOST_SENDERS:
            self._full_until.popitem(last=False)
        return self._headers(sender)

    def require(self, sender: str) -> None:
        """Raises a 429 Problem when nothing is left; counts nothing."""
        wait = self._used(sender) + self._each - self._window
        # What adding up many small shares of the window loses must not cost the last of the quota.
        if wait > self._each / 1_000:
            headers = {**self._headers(sender), "retry-after": str(math.ceil(wait))}
            raise Problem(429, "too-many-requests", headers=headers)

    def _used(self, sender: str) -> float:
        return max(self._full_until.get(sender, 0.0) - self._seconds(), 0.0)

    def _headers(self, sender: str) -> dict[str, str]:
        used = self._used(sender)
        left = max(int((self._window - used) / self._each + 0.001), 0)
        return {
            "ratelimit-policy": f'"{self._name}";q={self._quota};w={self._window}',
            "ratelimit": f'"{self._name}";r={left};t={math.ceil(used)}',
        }
