"""`./chikaya contracts`: the published contracts under `docs/`, written from the code or checked against it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.options import CHECKOUT
from deploy.contracts import Json, asyncapi_file, breaking_changes, schema_files, schemas
from deploy.local.errors import EmbeddedStackError
from deploy.openapi import openapi_files

FOLDER = CHECKOUT / "docs" / "contracts"
RELEASED = FOLDER / "released"
OPENAPI = CHECKOUT / "docs" / "openapi"


class ContractsError(EmbeddedStackError):
    """The published contracts are not those of the code, or the code breaks the released ones."""


def contracts(
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when a file would change.")] = False,
    release: Annotated[bool, typer.Option("--release", help="Also make these schemas the released ones.")] = False,
) -> None:
    """Write the schemas and the AsyncAPI and OpenAPI documents; refuse what breaks the released schemas."""
    broken = breaking_changes(released_schemas(), schemas())
    if broken:
        raise ContractsError("readers out there would break; make a new event type (….v2):\n" + "\n".join(broken))
    if check:
        stale = stale_files()
        if stale:
            raise ContractsError(f"not as generated: {', '.join(stale)}. Run `./chikaya contracts`.")
        return
    wanted = generated_files()
    _write(wanted)
    for path in _left_over(wanted):
        path.unlink()
    if release:
        _write({RELEASED / name: text for name, text in schema_files().items()})
    typer.echo(f"Written to {FOLDER} and {OPENAPI}.")


def generated_files() -> dict[Path, str]:
    """The text of every published file, the released schemas excepted."""
    return {
        FOLDER / "asyncapi.yaml": asyncapi_file(),
        **{OPENAPI / name: text for name, text in openapi_files().items()},
        **{FOLDER / "schemas" / name: text for name, text in schema_files().items()},
    }


def stale_files() -> list[str]:
    """The published files that are missing, differ from what is generated, or should not be there."""
    wanted = generated_files()
    differing = (path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text)
    return sorted(str(path.relative_to(CHECKOUT)) for path in (*differing, *_left_over(wanted)))


def released_schemas() -> dict[str, Json]:
    """The released schemas, by event type."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(RELEASED.glob("*.json"))}


def _left_over(wanted: Mapping[Path, str]) -> list[Path]:
    return [path for path in (FOLDER / "schemas").glob("*") if path not in wanted]


def _write(files: Mapping[Path, str]) -> None:
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
