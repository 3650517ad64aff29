"""`./chikaya classify`: whose are these complaints? From a CSV file to a CSV file, without any service."""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from deploy.commands.model import ModelError, model_of
from services.classifier.model.prediction import SHIPPED, Model, Prediction

_COLUMNS = ("administration", "confidence", "second", "third", "decision", "reason", "nature", "kind", "language")
_AT_ONCE = 512


def classify(
    file: Annotated[Path, typer.Argument(help="CSV in UTF-8 with a column `text`; other columns are not looked at.")],
    *,
    model: Annotated[
        Path, typer.Option(help="Folder of another model, made by `model train`.", show_default="the shipped model")
    ] = SHIPPED,
) -> None:
    """Write one row of CSV for each row of FILE, in order, to standard output; progress goes to standard error."""
    loaded = model_of(model)
    try:
        with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            _classify(loaded, _texts(file, lines))
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}.") from error
    except csv.Error as error:
        raise ModelError(f"{file} is not CSV: {error}.") from error


def _classify(model: Model, texts: Iterator[str]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_COLUMNS)
    with Progress(*Progress.get_default_columns()[:1], "{task.completed} rows", console=Console(stderr=True)) as shown:
        task = shown.add_task("classified", total=None)
        while batch := list(itertools.islice(texts, _AT_ONCE)):
            writer.writerows(map(_row, model.predict(batch, explain=False)))
            shown.advance(task, len(batch))
    sys.stdout.flush()


def _texts(file: Path, lines: Iterator[str]) -> Iterator[str]:
    # A complaint may be longer than the 128 KiB that a field may have by default.
    csv.field_size_limit(1 << 30)
    reader = csv.DictReader(lines)
    if "text" not in (reader.fieldnames or ()):
        raise ModelError(f"{file} has no column `text`; its first line must name the columns.")
    return (row["text"] or "" for row in reader)


def _row(prediction: Prediction) -> tuple[str, ...]:
    others = [suggestion.administration for suggestion in prediction.suggestions[1:]]
    second, third = (*others, "", "")[:2]
    return (
        prediction.administration,
        f"{prediction.confidence:.4f}",
        second,
        third,
        prediction.decision,
        prediction.reason,
        prediction.nature,
        prediction.kind,
        prediction.language,
    )
