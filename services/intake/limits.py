"""How much one client, one person, and one guesser of access codes may do."""

from typing import TypeVar

from shared.database.group_commit import GroupCommit, TooManyOfOne
from shared.runtime.problems import Problem
from shared.runtime.rate_limits import RateLimit

Item = TypeVar("Item")
Result = TypeVar("Result")

_MINUTE = 60
_HOUR = 3_600
_WRONG_CODES_AN_HOUR = 20


class Limits:
    """The limits of one instance. Each method answers the RateLimit headers or raises a 429 Problem."""

    def __init__(self, client_requests_a_minute: int, person_requests_an_hour: int) -> None:
        self._client = RateLimit("client", client_requests_a_minute, _MINUTE)
        self._person = RateLimit("person", person_requests_an_hour, _HOUR)
        self._wrong_codes = RateLimit("wrong-codes", _WRONG_CODES_AN_HOUR, _HOUR)

    def of_client(self, client: str) -> dict[str, str]:
        """One more request of a client."""
        return self._client.spend(client)

    def of_filing(self, client: str, person: str | None) -> dict[str, str]:
        """One more filing of a client, for a person when one is known."""
        headers = self._client.spend(client)
        return self._person.spend(person) if person else headers

    def before_code(self, reference: str) -> None:
        """Refuses to look at another access code for a reference that saw too many wrong ones, there or not."""
        self._wrong_codes.require(reference)

    def wrong_code(self, reference: str) -> None:
        """Counts a wrong access code."""
        self._wrong_codes.spend(reference)


async def committed(commits: GroupCommit[Item, Result], item: Item, sender: tuple[str, str]) -> Result:
    """The result of an item once it is durable. Raises a 429 Problem for one of too many of the same sender."""
    try:
        return await commits.submit(item, sender)
    except TooManyOfOne as error:
        raise Problem(429, "too-many-requests", headers={"retry-after": "1"}) from error
