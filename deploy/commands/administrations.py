"""`./chikaya administration`: bring administrations on board and let them leave, and play one of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.table import Table

from deploy.commands import administration_client
from deploy.commands.options import DEFAULT_DATA, DataFolder, running_state, terminal
from deploy.local.errors import EmbeddedStackError
from deploy.local.secrets import operations_token
from deploy.local.stack import credentials_folder

_SETTLE_SECONDS = 60.0
_LOOK_EVERY_SECONDS = 0.3

application = typer.Typer(help="List administrations, bring them on board, rotate credentials, let them leave.")

application.command()(administration_client.listen)
application.command()(administration_client.answer)

Code = Annotated[str, typer.Argument(help="Code of the administration.", show_default=False)]
DispatcherUrl = Annotated[
    str | None, typer.Option("--dispatcher", help="URL of the dispatcher; without it, the local stack's.")
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token", envvar="CHIKAYA_OPERATIONS_TOKEN", help="Token of operations; without it, the local stack's."
    ),
]


class DispatcherRefused(EmbeddedStackError):
    """The dispatcher did not do what was asked."""

    def __init__(self, answer: httpx.Response) -> None:
        problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        told = problem.get("detail") or problem.get("title") or answer.text
        super().__init__(
            f"The dispatcher refused ({answer.status_code}): {told}. List: `./chikaya administration list`."
        )


@application.command("list")
def list_(data: DataFolder = DEFAULT_DATA, *, dispatcher: DispatcherUrl = None, token: Token = None) -> None:
    """List the administrations and where each stands."""
    with _client(data, dispatcher, token) as client:
        every = _checked(client.get("/v1/administrations"))["administrations"]
    table = Table("code", "state", "since", "credentials", "parent", "name")
    for one in every:
        credentials = f"generation {one['generation_in_place']}" if one["has_credentials"] else "none"
        table.add_row(one["code"], one["state"], one["state_since"][:16], credentials, one["parent"], one["name_fr"])
    terminal().print(table)


@application.command()
def onboard(
    code: Code, *, data: DataFolder = DEFAULT_DATA, dispatcher: DispatcherUrl = None, token: Token = None
) -> None:
    """Make topics and credentials, then release what is parked; wait until it is ready."""
    with _client(data, dispatcher, token) as client:
        _checked(client.post(f"/v1/administrations/{code}/onboarding"))
        _wait(client, code, lambda one: one["state"] == "ready")
    _tell_credentials(data, dispatcher, code)


@application.command()
def rotate(
    code: Code, *, data: DataFolder = DEFAULT_DATA, dispatcher: DispatcherUrl = None, token: Token = None
) -> None:
    """Replace the credentials of an administration on board, or make its first ones; wait until they are in place."""
    with _client(data, dispatcher, token) as client:
        wanted = _checked(client.post(f"/v1/administrations/{code}/rotation"))["generation"]
        _wait(client, code, lambda one: one["generation_in_place"] >= wanted)
    _tell_credentials(data, dispatcher, code)


@application.command()
def offboard(
    code: Code, *, data: DataFolder = DEFAULT_DATA, dispatcher: DispatcherUrl = None, token: Token = None
) -> None:
    """Hand its unfinished complaints to its parent, and take its credentials away; its topics stay."""
    with _client(data, dispatcher, token) as client:
        _checked(client.delete(f"/v1/administrations/{code}/onboarding"))
        _wait(client, code, lambda one: one["state"] == "offboarded")
    terminal().print(f"{code} has left.")


def _client(data: Path, dispatcher: str | None, token: str | None) -> httpx.Client:
    url = dispatcher or running_state(data.absolute()).addresses["dispatcher"]
    bearer = token or operations_token(data.absolute())
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {bearer}"}, timeout=30.0)


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise DispatcherRefused(answer)
    return dict(answer.json())


def _wait(client: httpx.Client, code: str, condition: Callable[[dict[str, Any]], bool]) -> None:
    give_up_at = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < give_up_at:
        if condition(_checked(client.get(f"/v1/administrations/{code}"))):
            return
        time.sleep(_LOOK_EVERY_SECONDS)
    raise EmbeddedStackError(
        f"{code} is not there after {_SETTLE_SECONDS:.0f} s. It goes on by itself: look at "
        "`./chikaya administration list` and at the log of the provisioner."
    )


def _tell_credentials(data: Path, dispatcher: str | None, code: str) -> None:
    where = "the provisioner's folder" if dispatcher else credentials_folder(data.absolute()) / f"{code}.json"
    terminal().print(f"{code} is on board. Hand its credentials over and keep them secret: {where}")
