"""Files and folders with care: temporary, deleted for sure, private."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path


def temporary_folder(prefix: str) -> Path:
    """A new folder under the system's temporary folder; the caller deletes it."""
    return Path(tempfile.mkdtemp(prefix=f"chikaya-{prefix}-"))


def delete_folder(folder: Path) -> None:
    """Delete a folder and what is in it, also while a process that just ended lets go of it."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.05)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read (mode 600)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
