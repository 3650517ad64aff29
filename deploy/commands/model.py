"""`./chikaya model`: train, evaluate, retrain and roll back the model of the classifier."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from deploy.commands.options import CHECKOUT, DEFAULT_DATA, DataFolder, running_state, terminal
from deploy.local.errors import EmbeddedStackError
from services.classifier.model import artefact as files
from services.classifier.model.artefact import Artefact, ArtefactError
from services.classifier.model.corpus import (
    FROZEN,
    LEXICON,
    CorpusError,
    Example,
    lexicon_files,
    read_examples,
    training_files,
    validation_files,
)
from services.classifier.model.evaluation import summary
from services.classifier.model.prediction import SHIPPED, Model
from services.classifier.model.promotion import regressions, worst_language
from services.classifier.model.versions import Versions
from services.classifier.store.corrections import Correction
from services.classifier.store.corrections import read as read_corrections
from shared.database.pool import Database

if TYPE_CHECKING:
    from collections.abc import Mapping

application = typer.Typer(help="Train, evaluate, retrain and roll back the classifier's model.", no_args_is_help=True)

ModelFolder = Annotated[
    Path, typer.Option("--model", help="Folder of a model, made by `model train`.", show_default="the shipped model")
]
REPORT = CHECKOUT / "docs" / "model.md"


class ModelError(EmbeddedStackError):
    """A model cannot be made or used; the message says why."""


def model_of(folder: Path) -> Model:
    """The model of a folder; raises ModelError."""
    try:
        return Model.load(folder)
    except ArtefactError as error:
        raise ModelError(str(error)) from error


@application.command("train")
def train(
    *,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="CSV with the columns `text`, `administration` (optional `nature`, `kind`, `lang`, `reason`); may be "
            "given again. Any label set.",
            show_default="the project's own corpus",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write the model to; needed with --data.", show_default=str(SHIPPED))
    ] = None,
) -> None:
    """Learn a model. The same files give the same model."""
    if data and output is None:
        raise ModelError("Say where the model is to be written: --output DIR. The shipped model is left as it is.")
    sources = data or training_files()
    trained = _learned(_examples(sources), sources, validation=() if data else validation_files())
    version = files.save(trained, output or SHIPPED)
    console = terminal()
    _show(console, "cross-validation", trained.metrics["cross-validation"])
    console.print(f"Model {version} written to {output or SHIPPED}.")


@application.command("evaluate")
def evaluate(
    *,
    model: ModelFolder = SHIPPED,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Labelled CSV to test on, as for `train`; only prints the figures.", show_default="report"),
    ] = None,
    titles: Annotated[
        Path | None,
        typer.Option(
            help="CSV `text,administration,date` of parliamentary questions: also report how a model of "
            "those before November 2023 does on the later ones."
        ),
    ] = None,
    report: Annotated[Path, typer.Option(help="Where the report goes; its pictures go beside it.")] = REPORT,
) -> None:
    """Test a model on texts it has not seen: write the report with its tables and plots, or print the figures."""
    loaded = model_of(model)
    console = terminal()
    if data:
        examples = _examples(data)
        answers = loaded.predict([example.text for example in examples], explain=False)
        _show(console, ", ".join(path.name for path in data), summary(examples, answers))
        return
    # Plots and training are needed by the report alone; they take a second to import.
    from deploy.model_report import write_report

    with Progress(console=Console(stderr=True)) as shown:
        task = shown.add_task("evaluated", total=1.0)
        write_report(
            model,
            read_examples([FROZEN]),
            _examples(training_files()),
            titles,
            report,
            lambda done, of: shown.update(task, completed=done, total=of),
        )
    console.print(f"Report written to {report}.")


@application.command("retrain")
def retrain(data: DataFolder = DEFAULT_DATA) -> None:
    """Learn from the corpus and from what officers of the running stack decided; promote what is not worse.

    Not worse means: macro-F1, the worst language and the calibration on the frozen set. The services take a promoted
    model up within seconds.
    """
    folder = data.absolute()
    state = running_state(folder)
    corrections = asyncio.run(_corrections(state.databases["classifier"]))
    console = terminal()
    console.print(f"{len(corrections)} corrections of officers.")
    sources = training_files()
    trained = _learned([*_examples(sources), *map(_example, corrections)], sources, corrections, validation_files())
    versions = Versions(folder / "models")
    frozen = _examples([FROZEN])
    current, candidate = (_figures(one, frozen) for one in (model_of(versions.current()), Model(trained)))
    version = versions.add(trained)
    _compare(console, current, candidate)
    worse = regressions(current, candidate)
    if worse:
        raise ModelError(f"Model {version} is kept but not used, because it is worse: {'; '.join(worse)}.")
    versions.promote(version)
    console.print(f"Model {version} is in use. To go back: ./chikaya model rollback.")


@application.command("rollback")
def rollback(data: DataFolder = DEFAULT_DATA) -> None:
    """Use the model that was in use before; the services take it up within seconds."""
    versions = Versions(data.absolute() / "models")
    if not versions.promoted():
        raise ModelError("The shipped model is in use: there is nothing to go back to.")
    folder = versions.roll_back()
    terminal().print(f"In use: {'the shipped model' if folder == SHIPPED else folder.name}.")


def _examples(sources: Sequence[Path]) -> list[Example]:
    try:
        return read_examples(sources)
    except CorpusError as error:
        raise ModelError(str(error)) from error


def _learned(
    examples: list[Example],
    sources: Sequence[Path],
    corrections: Sequence[Correction] = (),
    validation: Sequence[Path] = (),
) -> Artefact:
    # Training needs scikit-learn, which takes a second to import and which the services do not have.
    from services.classifier.model.training import train as learn

    provenance = [f"{one.complaint_id} {one.round} {one.administration}" for one in corrections]
    with Progress(console=Console(stderr=True)) as shown:
        task = shown.add_task(f"learning from {len(examples)} texts", total=1.0)
        try:
            return learn(
                examples,
                LEXICON,
                files.hash_of([*sources, *validation, *lexicon_files()], provenance),
                lambda done, of: shown.update(task, completed=done, total=of),
                provenance={"files": [path.name for path in (*sources, *validation)], "corrections": provenance},
                validation=_examples(validation),
            )
        except CorpusError as error:
            raise ModelError(str(error)) from error


async def _corrections(url: str) -> list[Correction]:
    database = Database(url)
    connection = await database.connect()
    try:
        return await read_corrections(connection)
    finally:
        await connection.close()


def _example(correction: Correction) -> Example:
    return Example(
        correction.text,
        correction.administration,
        correction.nature,
        correction.kind,
        correction.language,
        reason="" if correction.administration else "possibly_inadmissible",
    )


def _figures(model: Model, examples: Sequence[Example]) -> dict[str, Any]:
    return summary(examples, model.predict([example.text for example in examples], explain=False))


def _show(console: Console, title: str, figures: Mapping[str, Any]) -> None:
    table = Table("figure", "value", title=title)
    for name, value in figures.items():
        table.add_row(name, json.dumps(value) if isinstance(value, (dict, list)) else str(value))
    console.print(table)


def _compare(console: Console, current: Mapping[str, Any], candidate: Mapping[str, Any]) -> None:
    table = Table("on the frozen set", "in use", "new")
    for name in ("top1", "macro_f1", "ece", "routed", "routed_precision"):
        table.add_row(name, str(current[name]), str(candidate[name]))
    table.add_row("worst language", str(worst_language(current)), str(worst_language(candidate)))
    console.print(table)
