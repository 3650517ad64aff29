"""Training: the same rows give the same model, of any label set; rows that teach nothing are refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.classifier.model import artefact as files
from services.classifier.model.corpus import CorpusError, Example, read_examples, training_files
from services.classifier.model.prediction import Model
from services.classifier.model.training import train

PLANETS = {
    "mars": ["red dust everywhere on the {}", "the rusty {} of the red planet", "dust storm over the {} again"],
    "saturn": ["the rings above the {} are bright", "icy rings and a {} below them", "many rings around that {}"],
}
PLACES = ("plain", "valley", "crater", "hill", "desert", "station", "base", "dome", "ridge", "field")


def planets() -> list[Example]:
    return [Example(text.format(place), name) for name, texts in PLANETS.items() for text in texts for place in PLACES]


def test_the_same_rows_give_the_same_files(tmp_path: Path) -> None:
    some = [e for e in read_examples(training_files()) if e.administration in ("oncf", "onee", "")][::3]
    versions = [files.save(train(some, None), tmp_path / name) for name in ("one", "two")]
    assert versions[0] == versions[1]
    assert all((tmp_path / "one" / f.name).read_bytes() == f.read_bytes() for f in (tmp_path / "two").iterdir())


def test_any_label_set_can_be_learned(tmp_path: Path) -> None:
    files.save(train(planets(), None), tmp_path)
    answers = Model.load(tmp_path).predict(["red dust again on my boots", "I can see the icy rings tonight"])
    assert [answer.administration for answer in answers] == ["mars", "saturn"]
    assert {answer.nature for answer in answers} == {"other"}


@pytest.mark.parametrize("rows", [[], [Example("a text", "one")], [Example("a", "one"), Example("b", "one")]])
def test_nothing_can_be_learned_from_one_label(rows: list[Example]) -> None:
    with pytest.raises(CorpusError, match="two administrations"):
        train(rows, None)


def test_a_label_of_a_single_row_is_no_error() -> None:
    assert "venus" in Model(train([*planets(), Example("thick clouds", "venus")], None)).labels


def test_two_rows_are_enough() -> None:
    assert Model(train([Example("red dust", "mars"), Example("icy rings", "saturn")], None)).predict(["dust"])


def test_rows_without_words_are_no_error() -> None:
    model = Model(train([*planets(), Example("", "mars"), Example("😡", "saturn")], None))
    assert model.predict([""])[0].reason == "too_short"


def test_files_are_read_as_people_write_them(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes('\ufefftext,administration,lang\r\n"a ""b""\nc",sante,fr\r\nx\0y,,\r\n'.encode())
    assert read_examples([file]) == [
        Example('a "b"\nc', "sante", language="fr"), Example("xy", "", reason="unclear"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"), [(b"texte\nx\n", "lacks"), (b"text,administration\n\xff,b\n", "UTF-8")]
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(content)
    with pytest.raises(CorpusError, match=message) as raised:
        read_examples([file])
    assert str(file) in str(raised.value)


def test_the_version_names_the_contents(tmp_path: Path) -> None:
    trained = train(planets(), None)
    assert files.save(trained, tmp_path) != files.save(replace(trained, data_hash="another"), tmp_path)
