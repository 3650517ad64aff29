"""Versions of the model in a folder, and which one is in use: to go back is to shorten a list."""

from pathlib import Path

from services.classifier.model import artefact as files
from services.classifier.model.artefact import Artefact
from services.classifier.model.prediction import SHIPPED

_PROMOTED = "promoted.txt"


class Versions:
    """A folder with one subfolder a version, and `promoted.txt`: versions in the order in which they came into use.

    The last one listed is in use; with none, the shipped model is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def promoted(self) -> list[str]:
        """Versions in the order in which they came into use, those gone back from left out."""
        try:
            return (self._folder / _PROMOTED).read_text(encoding="utf-8").split()
        except FileNotFoundError:
            return []

    def current(self) -> Path:
        """The folder of the model in use."""
        promoted = self.promoted()
        return self._folder / promoted[-1] if promoted else SHIPPED

    def add(self, artefact: Artefact) -> str:
        """Keep a model without using it; its version."""
        partial = self._folder / "partial"
        version = files.save(artefact, partial)
        target = self._folder / version
        if target.exists():
            for file in partial.iterdir():
                file.unlink()
            partial.rmdir()
        else:
            partial.rename(target)
        return version

    def promote(self, version: str) -> None:
        """Use a version from now on. Raises ArtefactError when the folder does not have it or it cannot be loaded."""
        files.load(self._folder / version)
        self._write([*self.promoted(), version])

    def roll_back(self) -> Path:
        """Use what was in use before, in the end the shipped model; its folder."""
        self._write(self.promoted()[:-1])
        return self.current()

    def _write(self, promoted: list[str]) -> None:
        partial = self._folder / f"{_PROMOTED}.partial"
        partial.write_text("".join(f"{version}\n" for version in promoted), encoding="utf-8")
        partial.replace(self._folder / _PROMOTED)
