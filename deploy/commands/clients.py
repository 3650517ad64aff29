"""`./chikaya client`: API keys of small channel frontends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from deploy.commands.options import DEFAULT_DATA, DataFolder, running_state, terminal
from deploy.local.errors import EmbeddedStackError
from services.intake import client_store
from services.intake.clients import FILE, SCOPES, digest_of, new_api_key
from shared.database.pool import Connection, Database

T = TypeVar("T")

application = typer.Typer(help="Channel frontends that post with an API key.", no_args_is_help=True)

IntakeDatabase = Annotated[str | None, typer.Option("--database", help="URL of intake's database; else the local one.")]


class ClientRefused(EmbeddedStackError):
    """The client cannot be added or revoked."""


@application.command()
def add(
    name: Annotated[str, typer.Argument(help="What the client is called, for ever.")],
    *,
    scope: Annotated[list[str] | None, typer.Option(help=f"What it may do: {', '.join(SCOPES)}.")] = None,
    database: IntakeDatabase = None,
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Add a client and print its API key, this one time: only a digest of it is kept."""
    scopes = scope or [FILE]
    unknown = set(scopes) - set(SCOPES)
    if unknown:
        raise ClientRefused(f"unknown scope: {', '.join(sorted(unknown))}; there are {', '.join(SCOPES)}.")
    api_key = new_api_key()
    if not _with(database, data, lambda connection: client_store.add(connection, name, digest_of(api_key), scopes)):
        raise ClientRefused(f"there is, or was, a client {name!r}: choose another name.")
    typer.echo(api_key)


@application.command()
def revoke(name: str, *, database: IntakeDatabase = None, data: DataFolder = DEFAULT_DATA) -> None:
    """Make an API key useless, within 15 seconds and for good."""
    if not _with(database, data, lambda connection: client_store.revoke(connection, name)):
        raise ClientRefused(f"no client {name!r} has a valid API key; see `./chikaya client list`.")
    typer.echo(f"{name} is revoked.")


@application.command("list")
def every(*, database: IntakeDatabase = None, data: DataFolder = DEFAULT_DATA) -> None:
    """Show all clients."""
    table = Table("client", "scopes", "since", "revoked")
    for name, scopes, since, revoked in _with(database, data, client_store.every):
        table.add_row(name, " ".join(scopes), since, revoked)
    terminal().print(table)


def _with(database: str | None, data: DataFolder, work: Callable[[Connection], Awaitable[T]]) -> T:
    url = database or running_state(data.absolute()).databases["intake"]

    async def done() -> T:
        connection = await Database(url).connect()
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(done())
