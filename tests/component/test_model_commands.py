"""`./chikaya classify` and `./chikaya model`, as people call them, and what officers' decisions become."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import typer.testing

from deploy.command_line import build_application
from deploy.commands.model import ModelError
from services.classifier.api import make_preview_router
from services.classifier.model import artefact as files
from services.classifier.model.prediction import SHIPPED, Model
from services.classifier.model.serving import ServedModel
from services.classifier.model.versions import Versions
from services.classifier.store import corrections
from shared.database.pool import Database
from shared.runtime.http import Health, make_app
from shared.runtime.settings import HttpSettings
from shared.testing.stores import Stores

COLUMNS = ["administration", "confidence", "second", "third", "decision", "reason", "nature", "kind", "language"]
TEXTS = [
    "Le train de 7h est encore annulé et personne en gare de Kénitra ne nous dit rien, le contrôleur se moque",
    "",
    'guillemets "doubles", virgules,\net lignes',
    "ⴰⵣⵓⵍ",
    "nul \u0000 dedans et encore des mots",
    "x" * 1_000_000,
    "😡🔥",
]


@pytest.fixture
def run() -> typer.testing.CliRunner:
    return typer.testing.CliRunner()


@pytest.fixture
def url(stores: Stores) -> str:
    return stores.database("classifier")


def written(path: Path, texts: list[str], column: str = "text") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([[column, "location"], *([text, "Rabat"] for text in texts)])
    return path


def answered(output: str) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO(output)))
    assert rows and list(rows[0]) == COLUMNS
    return rows


def test_every_row_is_answered_in_order(tmp_path: Path, run: typer.testing.CliRunner) -> None:
    result = run.invoke(build_application(), ["classify", str(written(tmp_path / "in.csv", TEXTS))])
    assert result.exit_code == 0
    rows = answered(result.stdout)
    assert [row["administration"] for row in rows] == [one.administration for one in Model.load().predict(TEXTS)]
    assert rows[0]["administration"] == "oncf"
    assert [row["decision"] for row in rows[1:]] == ["triage"] * (len(TEXTS) - 1)
    assert rows[3]["language"] == "zgh"


def test_bytes_that_are_no_text_are_no_error(tmp_path: Path, run: typer.testing.CliRunner) -> None:
    file = tmp_path / "in.csv"
    file.write_bytes(b"text\n\xff\xfe\xc3\x28\n")
    result = run.invoke(build_application(), ["classify", str(file)])
    assert [row["decision"] for row in answered(result.stdout)] == ["triage"]


@pytest.mark.parametrize("name", ["absent.csv", "in.csv"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, run: typer.testing.CliRunner, name: str) -> None:
    written(tmp_path / "in.csv", ["a"], column="texte")
    result = run.invoke(build_application(), ["classify", str(tmp_path / name)])
    assert isinstance(result.exception, ModelError)
    assert name in str(result.exception)


def test_another_label_set_is_learned_and_used(tmp_path: Path, run: typer.testing.CliRunner) -> None:
    learned = tmp_path / "learned.csv"
    places = ("plain", "valley", "crater", "hill", "desert", "station")
    rows = [(f"red dust over the {p}", "mars") for p in places] + [
        (f"icy rings above the {p}", "saturn") for p in places
    ]
    learned.write_text("text,administration\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    arguments = ["model", "train", "--data", str(learned), "--output", str(tmp_path / "model")]
    assert run.invoke(build_application(), arguments).exit_code == 0
    texts = written(tmp_path / "in.csv", ["the icy rings were bright tonight", "so much red dust in here"])
    result = run.invoke(build_application(), ["classify", str(texts), "--model", str(tmp_path / "model")])
    assert [row["administration"] for row in answered(result.stdout)] == ["saturn", "mars"]


def test_the_shipped_model_is_not_overwritten_by_other_data(tmp_path: Path, run: typer.testing.CliRunner) -> None:
    result = run.invoke(build_application(), ["model", "train", "--data", str(tmp_path / "rows.csv")])
    assert isinstance(result.exception, ModelError)


def test_going_back_needs_something_to_go_back_to(tmp_path: Path, run: typer.testing.CliRunner) -> None:
    result = run.invoke(build_application(), ["model", "rollback", "--data", str(tmp_path)])
    assert isinstance(result.exception, ModelError)


def test_a_running_model_is_replaced_and_a_broken_one_is_not_taken_up(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    model = ServedModel(versions)
    first = model.predict([TEXTS[0]])[0].model_version
    second = versions.add(replace(files.load(SHIPPED), data_hash="another"))
    versions.promote(second)
    model.refresh()
    assert model.predict([TEXTS[0]])[0].model_version == second != first
    versions.promote(versions.add(replace(files.load(SHIPPED), data_hash="a third")))
    for file in versions.current().iterdir():
        file.write_bytes(b"")
    model.refresh()
    assert model.predict([TEXTS[0]])[0].model_version == second


async def test_a_preview_says_where_a_text_would_go() -> None:
    app = make_app("classifier", HttpSettings(), Health(ready=True), [make_preview_router(ServedModel())])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://classifier") as client:
        answer = (await client.post("/v1/classify", json={"text": TEXTS[0]})).json()
        empty = (await client.post("/v1/classify", json={"text": ""})).json()
    assert answer["candidates"][0]["administration"] == "oncf"
    assert answer["language"] == "fr"
    assert set(answer["evidence"]) <= set(TEXTS[0].replace(",", "").split())
    assert (empty["decision"], empty["reason"], empty["language"]) == ("triage", "too_short", None)


async def test_corrections_are_read_with_their_provenance_the_last_of_each_complaint(url: str) -> None:
    database = Database(url)
    connection = await database.connect()
    complaint = uuid4()
    put = """INSERT INTO corrections (complaint_id, text, language, administration, nature, kind, decision, suggested,
                                      model_version, decided_by, decided_at, round)
             VALUES ($1, 'Un texte', 'fr', $2, 'delay', 'complaint', $3, 'sante', 'pooled-1', 'amina', now(), $4)"""
    await connection.execute(put, complaint, "sante", "route", 0)
    await connection.execute(put, complaint, None, "inadmissible", 1)
    found = await corrections.read(connection)
    await connection.close()
    assert [(one.complaint_id, one.round, one.administration, one.suggested) for one in found] == [
        (complaint, 1, "", "sante")
    ]
