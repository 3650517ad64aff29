"""`./chikaya notification`: see messages before they go out, what became of those that did, and send one again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import httpx
import typer
from rich.table import Table

from deploy.commands.options import DEFAULT_DATA, DataFolder, running_state, terminal
from deploy.local.errors import EmbeddedStackError
from deploy.local.secrets import operations_token
from services.notifier.domain.notices import CITIZEN, NOTICES, REFUSED, RELEASED, Facts
from services.notifier.domain.sms import parts_of
from services.notifier.rendering import SPOKEN, Renderer
from shared.contracts.reference import parse_reference
from shared.contracts.wording import Spoken

application = typer.Typer(help="Messages to citizens: preview, list, resend.", no_args_is_help=True)

_CONFLICT = 409


class NotificationError(EmbeddedStackError):
    """What was asked of the notifier is not possible."""


@application.command()
def preview(
    template: Annotated[str, typer.Argument(help="A template's name; without one, all names are listed.")] = "",
    *,
    language: Annotated[str, typer.Option(help="ar, fr or en.")] = "fr",
    html: Annotated[Path | None, typer.Option(help="Also write the e-mail's HTML to this file.")] = None,
) -> None:
    """Show a template's short message and e-mail, with example data."""
    renderer = Renderer("https://chikaya.ma")
    spoken: Spoken | None = next((one for one in SPOKEN if one == language), None)
    if spoken is None:
        raise NotificationError(f"there are no texts in {language!r}; languages: {', '.join(SPOKEN)}")
    names = renderer.templates(spoken)
    if not template:
        typer.echo("\n".join(names))
        return
    if template not in names:
        raise NotificationError(f"there is no template {template!r} in {language}; templates: {', '.join(names)}")
    recipient, change = _example(template)
    now = datetime.now(UTC)
    facts = Facts(
        change=change,
        changed_at=now,
        administration="sante",
        forward_by=now + timedelta(days=15),
        answer_by=now + timedelta(days=60),
    )
    made = renderer.render(template, spoken, facts, "26328-0417-5531-72", "12345678", recipient)
    if made.sms:
        parts = parts_of(made.sms)
        typer.echo(f"SMS ({len(parts)} part{'s' if len(parts) > 1 else ''}):\n{made.sms}\n")
    typer.echo(f"Subject: {made.subject}\n\n{made.text}")
    if html is not None:
        html.write_text(made.html, encoding="utf-8")


def _example(template: str) -> tuple[str, str]:
    """(recipient, change) under which a template is used."""
    if template == RELEASED:
        return CITIZEN, "forwarded"
    if template == REFUSED.template:
        return CITIZEN, "reopening"
    return next(
        (n.recipient, change.value) for change, notices in NOTICES.items() for n in notices if n.template == template
    )


@application.command("list")
def list_deliveries(
    data: DataFolder = DEFAULT_DATA,
    *,
    state: Annotated[str, typer.Option(help="due, sent, delivered, failed or parked (reached nobody).")] = "",
    reference: Annotated[str, typer.Option(help="Of one complaint.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
) -> None:
    """List the deliveries of the running stack, newest first."""
    wanted = {"limit": str(limit), "state": state, "reference": parse_reference(reference) or reference}
    answer = _ask(data, "GET", "/v1/notifications", {key: value for key, value in wanted.items() if value})
    table = Table("delivery", "reference", "template", "recipient", "channel", "state", "attempts", "last error")
    for row in answer["notifications"]:
        columns = ("delivery_id", "reference", "template", "recipient", "channel", "state", "attempts", "last_error")
        table.add_row(*(str(row[column]) if row[column] is not None else "" for column in columns))
    console = terminal()
    console.print(table)
    console.print(", ".join(f"{count} {name}" for name, count in sorted(answer["states"].items())) or "None yet.")


@application.command()
def resend(
    delivery: Annotated[UUID, typer.Argument(help="As `list` shows it.")], data: DataFolder = DEFAULT_DATA
) -> None:
    """Send a delivery again, to the address its recipient has now."""
    _ask(data, "POST", f"/v1/notifications/{delivery}/resend", {})
    typer.echo("It is due now; see `./chikaya notification list`.")


def _ask(data: Path, method: str, path: str, parameters: dict[str, str]) -> Any:
    folder = data.absolute()
    address = running_state(folder).addresses["notifier"]
    headers = {"Authorization": f"Bearer {operations_token(folder)}"}
    answer = httpx.request(method, f"{address}{path}", params=parameters, headers=headers, timeout=10)
    if answer.status_code == _CONFLICT:
        raise NotificationError("there is no such delivery, or it is due already: see `./chikaya notification list`")
    if answer.is_error:
        raise NotificationError(f"the notifier answered {answer.status_code}: {answer.text}")
    return answer.json()
