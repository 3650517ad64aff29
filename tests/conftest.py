"""Options of the test run, and the stores that tests share."""

from collections.abc import Iterator

import pytest

from shared.testing.stores import Stores, running_stores


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the long versions of the heavy tests")


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether the long versions are wanted."""
    return bool(request.config.getoption("--full"))


@pytest.fixture(scope="session")
def stores() -> Iterator[Stores]:
    """One Kafka and one PostgreSQL for the whole run; each test makes databases and topics of its own."""
    with running_stores() as running:
        yield running
