"""What the model learns from: examples in CSV files and the lexicon, what people write about whom, by language."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CORPUS = HERE.parent / "corpus" / "training"
VALIDATION = HERE.parent / "corpus" / "validation"
FROZEN = HERE.parent / "corpus" / "frozen" / "frozen_test.csv"
LEXICON = HERE / "lexicon"

LANGUAGE_OF_SECTION = {"latn": "ary-latn"}


class CorpusError(ValueError):
    """A file to learn from cannot be used; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Example:
    """One text and what is known of it; an empty string where nothing is.

    `administration` is empty for a text that a person must look at, and `reason` then says why.
    """

    text: str
    administration: str
    nature: str = ""
    kind: str = ""
    language: str = ""
    location: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Term:
    """A word or phrase of the lexicon and the label it speaks for."""

    text: str
    label: str
    language: str


def read_examples(files: Iterable[Path]) -> list[Example]:
    """The rows of CSV files, in order. Columns `text` and `administration` are needed, the others not.

    Raises CorpusError for a file that is absent, not UTF-8, or lacks a column.
    """
    return [example for file in files for example in _read(file)]


def _read(file: Path) -> list[Example]:
    # Texts may be long: the default limit of a field is 128 KiB.
    csv.field_size_limit(1 << 30)
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(line.replace("\0", "") for line in lines)
            missing = {"text", "administration"} - set(reader.fieldnames or ())
            if missing:
                raise CorpusError(f"{file} lacks the column(s) {', '.join(sorted(missing))}.")
            return [_example(row) for row in reader]
    except OSError as error:
        raise CorpusError(f"{file} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{file} is not a CSV file in UTF-8: {error}.") from error


def _example(row: dict[str, str | None]) -> Example:
    def value(column: str) -> str:
        return (row.get(column) or "").strip()

    administration = value("administration")
    return Example(
        text=row.get("text") or "",
        administration=administration,
        nature=value("nature"),
        kind=value("kind"),
        language=value("lang"),
        location=value("location"),
        reason="" if administration else value("reason") or "unclear",
    )


def validation_files() -> list[Path]:
    """The texts of other writers, which settle confidences, in order of their names."""
    return sorted(VALIDATION.glob("*.csv"))


def training_files() -> list[Path]:
    """The files of the project's own training corpus, in order."""
    return sorted(CORPUS.glob("*.csv"))


def lexicon_files() -> list[Path]:
    """The files of the lexicon, in order."""
    return sorted(LEXICON.rglob("*.txt"))


def read_lexicon(folder: Path, name: str) -> list[Term]:
    """The terms of `name.txt`, or of every file of the folder `name`. Sections are labels, lines are languages."""
    files = sorted((folder / name).glob("*.txt")) if (folder / name).is_dir() else [folder / f"{name}.txt"]
    return [term for file in files if file.exists() for term in _terms(file)]


def _terms(file: Path) -> list[Term]:
    terms = []
    label = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            label = line.strip("[] ")
        elif ":" in line:
            language, _, listed = line.partition(":")
            language = LANGUAGE_OF_SECTION.get(language, language)
            terms += [Term(text.strip(), label, language) for text in re.split("[,،]", listed) if text.strip()]
    return terms


def of_labels(terms: Sequence[Term], labels: Iterable[str]) -> list[Term]:
    """The terms that speak for one of the labels."""
    wanted = set(labels)
    return [term for term in terms if term.label in wanted]
