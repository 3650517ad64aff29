"""The command line `./chikaya`: run the whole system on this machine and look into it."""

from __future__ import annotations

import sys

import typer

from deploy.commands import (
    administrations,
    classify,
    clients,
    contracts,
    demo,
    filing,
    logs,
    model,
    notification,
    receipts,
    republishing,
    running,
    testing,
    topics,
    tracker,
)
from deploy.local.errors import EmbeddedStackError


def build_application() -> typer.Typer:
    """Every command is registered here, in the order in which `--help` lists them."""
    application = typer.Typer(
        name="chikaya",
        help="Chikaya on this machine: a real Kafka, a real PostgreSQL and the six services.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    application.command("up")(running.up)
    application.command("down")(running.down)
    application.command("status")(running.status)
    application.command("demo")(demo.demo)
    application.command("test")(testing.test)
    application.command("republish")(republishing.republish)
    application.command("logs")(logs.logs)
    application.command("file")(filing.file)
    application.command("contracts")(contracts.contracts)
    application.add_typer(administrations.application, name="administration")
    application.command("classify")(classify.classify)
    application.add_typer(model.application, name="model")
    application.add_typer(topics.application, name="topics")
    application.add_typer(tracker.application, name="tracker")
    application.add_typer(clients.application, name="client")
    application.add_typer(receipts.application, name="receipt")
    application.add_typer(notification.application, name="notification")
    return application


def main() -> None:
    """Run the command of `sys.argv`; an expected error is one message and exit code 1."""
    try:
        build_application()(prog_name="./chikaya")
    except EmbeddedStackError as error:
        sys.stderr.write(f"chikaya: {error}\n")
        sys.exit(1)
    except PermissionError as error:
        sys.stderr.write(
            f"chikaya: {error.filename} may not be written by this user; choose a folder of yours with --data.\n"
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
