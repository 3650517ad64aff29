"""The trained model as files: plain arrays and JSON, nothing that runs on loading; the same model, the same bytes."""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.classifier.model.features import Floats, Vocabulary
from services.classifier.model.scoring import Blend, Yes

ARRAYS, DESCRIPTION = "weights.npz", "model.json"
FORMAT = 2
HEADS = ("administration", "nature", "kind", "language", "scope")
ROUTABLE = "routable"
"""The label of the head `scope` for a text that can be routed; its other labels are reasons for triage."""

_CODE = (
    "text.py",
    "features.py",
    "scoring.py",
    "linear.py",
    "calibration.py",
    "corpus.py",
    "training.py",
    "prediction.py",
    "judging.py",
)


class ArtefactError(ValueError):
    """A folder holds no model that this version can load; the message says why."""


@dataclass(frozen=True, slots=True)
class Head:
    """The labels of one question, and the columns of the weights that answer it: `labels` of them for each view."""

    labels: tuple[str, ...]
    views: tuple[str, ...]
    first: int

    @property
    def columns(self) -> slice:
        """Where its weights are among all."""
        return slice(self.first, self.first + len(self.labels) * len(self.views))


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns scores into confidences and decisions; see `scoring` and `calibration`."""

    blends: Mapping[str, Blend]
    right: Yes
    """Whether the likeliest administration is the right one."""
    routable: Yes | None
    """Whether a text is one to route at all."""
    general_threshold: float
    thresholds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Artefact:
    """A whole model: weights of 8 bits with a scale per column, and all that describes it."""

    vocabulary: Vocabulary
    weights: NDArray[np.int8]
    scales: Floats
    offsets: Floats
    heads: Mapping[str, Head]
    calibration: Calibration
    data_hash: str
    code_hash: str
    metrics: Mapping[str, Any]
    provenance: Mapping[str, Any]
    """What it was learned from: names of files, and the corrections by complaint, round and administration."""
    version: str = ""


def quantised(weights: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Weights in 8 bits and the scale of each column."""
    scales = np.maximum(np.abs(weights).max(axis=0), 1e-9) / 127
    return np.rint(weights / scales).astype(np.int8), scales.astype(np.float32)


def hash_of(files: Iterable[Path], more: Iterable[str] = ()) -> str:
    """SHA-256 over names and contents, in the order given."""
    digest = hashlib.sha256("\n".join(more).encode())
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def hash_of_bytes(content: bytes) -> str:
    """SHA-256 of one file's content."""
    return hashlib.sha256(content).hexdigest()


def code_hash() -> str:
    """The hash of the code a model depends on."""
    return hash_of(Path(__file__).with_name(name) for name in _CODE)


def save(artefact: Artefact, folder: Path) -> str:
    """Write the model; returns its version, which names its contents. The same model gives the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        weights=artefact.weights,
        scales=artefact.scales,
        offsets=artefact.offsets,
        rarity=artefact.vocabulary.weights,
        blocks=np.array(artefact.vocabulary.blocks, dtype=np.int64),
        names=np.frombuffer("\n".join(artefact.vocabulary.names).encode(), dtype=np.uint8),
    )
    arrays = buffer.getvalue()
    description = {
        "format": FORMAT,
        "arrays": hash_of_bytes(arrays),
        "data": artefact.data_hash,
        "code": artefact.code_hash,
        "heads": {name: asdict(head) for name, head in artefact.heads.items()},
        "calibration": asdict(artefact.calibration),
        "metrics": artefact.metrics,
        "provenance": artefact.provenance,
    }
    identity = json.dumps(description, sort_keys=True).encode()
    version = f"pooled-{hashlib.sha256(identity).hexdigest()[:12]}"
    text = json.dumps({"version": version, **description}, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / ARRAYS).write_bytes(arrays)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
    return version


def load(folder: Path) -> Artefact:
    """Read a model. Raises ArtefactError when files are absent, of another format, or do not belong together."""
    try:
        described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        arrays = (folder / ARRAYS).read_bytes()
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ArtefactError(f"{folder} holds no model ({error}). Make one with `./chikaya model train`.") from error
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        raise ArtefactError(f"{folder} holds a model of another format. Make it anew with `./chikaya model train`.")
    if hash_of_bytes(arrays) != described["arrays"]:
        raise ArtefactError(f"{folder / ARRAYS} is not the file that {DESCRIPTION} describes.")
    try:
        with np.load(io.BytesIO(arrays), allow_pickle=False) as stored:
            names = stored["names"].tobytes().decode().split("\n")
            vocabulary = Vocabulary(names, stored["rarity"], [int(size) for size in stored["blocks"]])
            matrices = stored["weights"], stored["scales"], stored["offsets"]
    except (ValueError, KeyError) as error:
        raise ArtefactError(f"{folder / ARRAYS} does not hold the plain arrays of a model ({error}).") from error
    return Artefact(
        vocabulary,
        *matrices,
        heads={
            name: Head(tuple(head["labels"]), tuple(head["views"]), head["first"])
            for name, head in described["heads"].items()
        },
        calibration=_calibration(described["calibration"]),
        data_hash=described["data"],
        code_hash=described["code"],
        metrics=described["metrics"],
        provenance=described["provenance"],
        version=described["version"],
    )


def _calibration(stored: dict[str, Any]) -> Calibration:
    def yes(one: dict[str, Any]) -> Yes:
        return Yes(tuple(one["coefficients"]), one["offset"])

    return Calibration(
        {
            question: Blend(tuple(map(tuple, one["coefficients"])), tuple(one["bias"]))
            for question, one in stored["blends"].items()
        },
        yes(stored["right"]),
        None if stored["routable"] is None else yes(stored["routable"]),
        stored["general_threshold"],
        stored["thresholds"],
    )
