"""`./chikaya administration listen` and `answer`: the reference client on the command line."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import httpx
import typer
from pydantic import ValidationError

from clients.administration.connection import Connection, KafkaFailed
from clients.administration.journal import Journal
from clients.administration.reader import Reader, RecordsExpired
from clients.administration.replies import Reply, ReplyRefused, send_over_http, send_over_kafka
from clients.administration.sinks import Folder, Sink, Sqlite, Webhook
from deploy.commands.options import DEFAULT_DATA, DataFolder
from deploy.local.errors import EmbeddedStackError
from deploy.local.stack import credentials_folder

_HTTP_SECONDS = 30.0


class ClientError(EmbeddedStackError):
    """The client cannot go on."""


class Action(StrEnum):
    """What an administration may say, as people type it."""

    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in-progress"
    QUESTION = "question"
    ANSWER = "answer"
    NOT_OURS = "not-ours"
    PROPOSE_CLOSURE = "propose-closure"


_SAID = {
    Action.ACKNOWLEDGED: "acknowledged",
    Action.IN_PROGRESS: "in_progress",
    Action.QUESTION: "question",
    Action.ANSWER: "answered",
    Action.NOT_OURS: "not_ours",
    Action.PROPOSE_CLOSURE: "closure_proposed",
}


class Way(StrEnum):
    """How a reply is sent."""

    KAFKA = "kafka"
    HTTP = "http"


Code = Annotated[str, typer.Option("--code", help="Code of the administration.", show_default=False)]
CredentialsFile = Annotated[
    Path | None, typer.Option("--credentials", help="Its file of credentials; without it, the local stack's.")
]
Tls = Annotated[bool, typer.Option("--tls", help="Connect to Kafka by TLS.")]
Authority = Annotated[Path | None, typer.Option("--ca", help="Certificates to trust, in PEM; else the system's.")]


def listen(
    code: Code,
    *,
    folder: Annotated[Path | None, typer.Option(help="Write each event as a file into this folder.")] = None,
    sqlite: Annotated[Path | None, typer.Option(help="Add each event to the table `events` of this database.")] = None,
    webhook: Annotated[str | None, typer.Option(help="POST each event to this address, signed.")] = None,
    secret: Annotated[
        str | None, typer.Option(envvar="CHIKAYA_WEBHOOK_SECRET", help="Secret of the webhook's signatures.")
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Where the place is kept; by default in the folder or the database.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when all that is there now is read.")] = False,
    credentials: CredentialsFile = None,
    tls: Tls = False,
    ca: Authority = None,
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Bring what Chikaya sends an administration to a folder, a database or a webhook; stay until Ctrl-C."""
    if [folder, sqlite, webhook].count(None) != 2:
        raise ClientError("Say where events go: exactly one of --folder, --sqlite and --webhook.")
    if webhook is not None and not secret:
        raise ClientError("A webhook is signed: set CHIKAYA_WEBHOOK_SECRET.")
    kept = journal or sqlite or (folder and folder / ".journal.sqlite")
    if kept is None:
        raise ClientError("Say with --journal where the place of the webhook's reader is kept.")
    connection = _connection(data, code, credentials, tls, ca)

    async def run() -> int:
        with Journal(kept) as place:
            async with _sink(place, folder, webhook, secret) as sink:
                return await Reader(connection, place, sink).run(_until_signalled(), until_end=once)

    try:
        delivered = asyncio.run(run())
    except RecordsExpired as error:
        raise ClientError(str(error)) from error
    except KafkaFailed as error:
        raise ClientError(f"Kafka failed ({error}): check address, name, password and rights.") from error
    typer.echo(f"{delivered} events delivered.")


def answer(
    action: Annotated[Action, typer.Argument(help="What the administration says.", show_default=False)],
    code: Code,
    assignment: Annotated[str, typer.Option(help="Id of the assignment, as the inbox gave it.", show_default=False)],
    *,
    text: Annotated[str | None, typer.Option(help="Question, answer, or reason; the citizen reads it.")] = None,
    outcome: Annotated[str | None, typer.Option(help="Outcome code of an answer.")] = None,
    attachment: Annotated[
        list[str] | None, typer.Option(help="SHA-256 of a file uploaded to intake; once per file.")
    ] = None,
    other: Annotated[str | None, typer.Option(help="With not-ours: code of the body whose it is.")] = None,
    reply_id: Annotated[str | None, typer.Option("--id", help="Id of the reply, to send it again.")] = None,
    over: Annotated[Way, typer.Option(help="The way to send it.")] = Way.KAFKA,
    credentials: CredentialsFile = None,
    tls: Tls = False,
    ca: Authority = None,
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Reply to an assignment, over Kafka or over HTTP."""
    said = {
        "assignment_id": assignment,
        "action": _SAID[action],
        "text": text,
        "outcome": outcome,
        "attachments": attachment or None,
        "other_administration": other,
    }
    connection = _connection(data, code, credentials, tls, ca)
    try:
        reply = Reply.of(code, said, reply_id=reply_id)
        asyncio.run(_send(connection, reply, over))
    except ValidationError as error:
        problems = "; ".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors())
        raise ClientError(f"This is no reply: {problems}") from error
    except ReplyRefused as error:
        raise ClientError(f"Chikaya refused the reply: {error}") from error
    except (KafkaFailed, httpx.HTTPError) as error:
        again = f"send it again with --id {reply.attributes['id']}"
        raise ClientError(f"It is not known whether the reply arrived ({error}); {again}") from error
    typer.echo(f"Sent as {reply.attributes['id']}.")


async def _send(connection: Connection, reply: Reply, over: Way) -> None:
    if over is Way.KAFKA:
        await send_over_kafka(connection, reply)
        return
    async with httpx.AsyncClient(timeout=_HTTP_SECONDS) as client:
        await send_over_http(connection, reply, client)


@asynccontextmanager
async def _sink(place: Journal, folder: Path | None, webhook: str | None, secret: str | None) -> AsyncIterator[Sink]:
    if folder is not None:
        yield Folder(folder)
    elif webhook is not None:
        async with httpx.AsyncClient(timeout=_HTTP_SECONDS) as client:
            yield Webhook(webhook, (secret or "").encode(), client)
    else:
        yield Sqlite(place)


def _until_signalled() -> asyncio.Event:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


def _connection(data: Path, code: str, credentials: Path | None, tls: bool, ca: Path | None) -> Connection:
    file = credentials or credentials_folder(data.absolute()) / f"{code}.json"
    try:
        return Connection.read(file, tls=tls, ca=ca)
    except OSError as error:
        raise ClientError(
            f"{file} cannot be read ({error.strerror}): `./chikaya administration rotate {code}` makes it, or "
            "`onboard` for an administration that is not on board; or give another file with --credentials."
        ) from error
    except ValueError as error:
        raise ClientError(str(error)) from error
