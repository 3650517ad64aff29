"""A queue in which nobody waits for another's heap: turn by turn over clients, and within a client over persons."""

from collections import OrderedDict, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")

Sender = tuple[str, str]
"""(client, person)."""


class FairQueue(Generic[Item]):
    """First in, first out for each sender; senders take turns. All operations take constant time an item."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, OrderedDict[str, deque[Item]]] = OrderedDict()
        self._of_client: dict[str, int] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def of_client(self, client: str) -> int:
        """How many items of a client wait."""
        return self._of_client.get(client, 0)

    def put(self, sender: Sender, item: Item) -> None:
        """Adds an item at the end of its sender's line."""
        client, person = sender
        self._lines.setdefault(client, OrderedDict()).setdefault(person, deque()).append(item)
        self._of_client[client] = self.of_client(client) + 1
        self._length += 1

    def take(self, most: int) -> list[Item]:
        """Removes the next items, in order of turns."""
        return [self._next() for _ in range(min(most, self._length))]

    def _next(self) -> Item:
        client, persons = self._lines.popitem(last=False)
        person, line = persons.popitem(last=False)
        item = line.popleft()
        if line:
            persons[person] = line
        if persons:
            self._lines[client] = persons
            self._of_client[client] -= 1
        else:
            del self._of_client[client]
        self._length -= 1
        return item
