"""`./chikaya republish`: after Kafka was lost for good, publish the journals to a new cluster."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from deploy.commands.options import DEFAULT_DATA, DataFolder, terminal
from deploy.local.errors import EmbeddedStackError
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.stack import SERVICES
from deploy.local.state import read_state
from shared.messaging.republication import forget_cluster


class StackRunsError(EmbeddedStackError):
    """The services must be stopped first."""

    def __init__(self) -> None:
        super().__init__("The stack runs: stop it with `./chikaya down`, then run this again.")


def republish(
    data: DataFolder = DEFAULT_DATA,
    *,
    database: Annotated[
        list[str] | None,
        typer.Option(help="URL of a service's database; once per service. Without it, the local stack's are taken."),
    ] = None,
) -> None:
    """Make every service publish its whole journal again, to a new and empty Kafka cluster.

    Only for a cluster that is lost for good. Stop all services first. Readers keep what they handled from the old
    cluster; what administrations had written there and nobody had read is lost.
    """
    console = terminal()
    if database:
        _forget(database)
    else:
        folder = data.absolute()
        if read_state(folder) is not None:
            raise StackRunsError
        with EmbeddedPostgres(folder / "postgres") as postgres:
            _forget([postgres.url(service.name) for service in SERVICES if service.has_database])
    console.print("Done. Start the services: they publish their journals to the cluster they meet.")


def _forget(urls: list[str]) -> None:
    for url in urls:
        asyncio.run(forget_cluster(url))
