"""`topics`: what lies in Kafka, read from outside the project's own messaging code."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaException,
    Message,
    TopicPartition,
)
from rich.table import Table

from deploy.commands.options import DEFAULT_DATA, DataFolder, running_state, terminal
from deploy.local.errors import EmbeddedStackError

_ANSWER_SECONDS = 10.0

application = typer.Typer(
    help="List the topics; `topics show NAME` prints records.",
    invoke_without_command=True,
)


class KafkaSilentError(EmbeddedStackError):
    """Kafka did not answer."""

    def __init__(self, bootstrap_servers: str, reason: object) -> None:
        super().__init__(f"Kafka at {bootstrap_servers} does not answer ({reason}); see `./chikaya status`.")


@application.callback()
def topics(context: typer.Context, data: DataFolder = DEFAULT_DATA) -> None:
    """List the topics with their partitions and end offsets."""
    if context.invoked_subcommand is not None:
        return
    servers = running_state(data.absolute()).bootstrap_servers
    consumer = reader_of(servers)
    table = Table("topic", "partitions", "records", "end offsets")
    for column in table.columns[1:3]:
        column.justify = "right"
    try:
        for name, partitions in sorted(_partitions(consumer).items()):
            if name.startswith("__"):
                continue
            ranges = [_offsets(consumer, name, partition) for partition in partitions]
            records = sum(high - low for low, high in ranges)
            ends = " ".join(str(high) for _, high in ranges)
            table.add_row(name, str(len(partitions)), str(records), ends)
    except KafkaException as error:
        raise KafkaSilentError(servers, error) from error
    finally:
        consumer.close()
    terminal().print(table)


@application.command()
def show(
    name: Annotated[str, typer.Argument(help="The topic.", show_default=False)],
    *,
    data: DataFolder = DEFAULT_DATA,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Newest records to print.")] = 10,
) -> None:
    """Print the newest records of a topic: place, key, CloudEvents headers and value."""
    servers = running_state(data.absolute()).bootstrap_servers
    consumer = reader_of(servers)
    try:
        partitions = _partitions(consumer)
        if name not in partitions:
            raise EmbeddedStackError(f"There is no topic {name!r}; list them: `./chikaya topics`.")
        records = _newest(consumer, name, partitions[name], limit)
    except KafkaException as error:
        raise KafkaSilentError(servers, error) from error
    finally:
        consumer.close()
    for record in records:
        _print_record(record)


def reader_of(servers: str) -> Consumer:
    """A client that reads whatever is committed and leaves no trace."""
    return Consumer(
        {
            "bootstrap.servers": servers,
            # A consumer must name a group; nothing is ever committed to it.
            "group.id": "chikaya-command-line",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )


def _partitions(consumer: Consumer) -> dict[str, list[int]]:
    metadata = consumer.list_topics(timeout=_ANSWER_SECONDS)
    return {name: sorted(topic.partitions) for name, topic in metadata.topics.items()}


def _offsets(consumer: Consumer, name: str, partition: int) -> tuple[int, int]:
    """First and end offset of a partition."""
    low, high = consumer.get_watermark_offsets(TopicPartition(name, partition), _ANSWER_SECONDS)
    return low, high


def _newest(consumer: Consumer, name: str, partitions: list[int], limit: int) -> list[Message]:
    """The newest `limit` records of the whole topic, oldest first."""
    starts = []
    for partition in partitions:
        low, high = _offsets(consumer, name, partition)
        if high > low:
            starts.append(TopicPartition(name, partition, max(low, high - limit)))
    consumer.assign(starts)
    records: list[Message] = []
    unfinished = len(starts)
    while unfinished:
        message = consumer.poll(_ANSWER_SECONDS)
        if message is None:
            raise KafkaException("it delivers no records")
        if message.error() is None:
            records.append(message)
        else:
            # The only error of an assigned, existing partition is its end.
            unfinished -= 1
    return sorted(records, key=lambda one: (one.timestamp()[1], one.partition(), one.offset()))[-limit:]


def _print_record(record: Message) -> None:
    kind, milliseconds = record.timestamp()
    at = "" if kind == TIMESTAMP_NOT_AVAILABLE else datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()
    typer.secho(f"partition {record.partition()}  offset {record.offset()}  {at}", bold=True)
    typer.echo(f"  key: {_text(record.key())}")
    headers = record.headers() or []
    for name, value in headers.items() if isinstance(headers, dict) else headers:
        typer.echo(f"  {name}: {_text(value)}")
    typer.echo(f"  {_text(record.value())}\n")


def _text(content: str | bytes | None) -> str:
    if content is None:
        return "(none)"
    return content if isinstance(content, str) else content.decode("utf-8", errors="replace")
