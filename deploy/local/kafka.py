"""A real Apache Kafka (KRaft) node on 127.0.0.1, started from jars and a JRE of PyPI."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from filelock import Timeout

from deploy.local.errors import ComponentStartError, PortTakenError, WrongStateError
from deploy.local.folders import delete_folder, temporary_folder
from deploy.local.kafka_distribution import (
    KafkaDistribution,
    Progress,
    prepare_distribution,
)
from deploy.local.kafka_node import (
    LOGGING_PROPERTIES,
    AdvertisedListener,
    Membership,
    format_folder,
    node_properties,
)
from deploy.local.processes import (
    LOOPBACK,
    ChildProcess,
    free_port,
    kept_port,
    port_answers,
    port_is_free,
)
from deploy.local.watchdog import Watchdog

__all__ = ["AdvertisedListener", "EmbeddedKafka", "Membership"]

START_SECONDS = 60.0
_STOP_GRACE_SECONDS = 20.0
_GROWTH = 4
_TRAINING_SECONDS = 90.0


class EmbeddedKafka:
    """One node, broker and controller. Not thread-safe: one thread drives it.

    `folder` keeps data, configuration and log; without one a temporary folder is used and deleted
    by `discard()` or at the end of the `with` block. Ports stay the same for the life of the
    object, and across objects on the same folder while they are free.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        port: int | None = None,
        server_properties: Mapping[str, str] | None = None,
        listeners: Sequence[AdvertisedListener] = (),
        membership: Membership | None = None,
        heap_mib: int = 256,
        log_path: Path | None = None,
        on_progress: Progress | None = None,
        watchdog: Watchdog | None = None,
    ) -> None:
        """Nothing is started or written yet. `server_properties` win over the defaults.

        `heap_mib` is the heap at the beginning; it may grow to four times that.
        """
        self._temporary = folder is None
        self.folder = (folder or temporary_folder("kafka")).absolute()
        self.log_path = log_path or self.folder / "kafka.log"
        self._port = port
        self._port_is_settled = False
        self._administrations_port: int | None = None
        self._membership = membership
        self._listeners = tuple(listeners)
        self._overrides = dict(server_properties or {})
        self._heap_mib = heap_mib
        self._on_progress = on_progress
        self._own_watchdog = watchdog is None
        self._watchdog = watchdog or Watchdog()
        self._process: ChildProcess | None = None
        self._training: threading.Thread | None = None

    @property
    def bootstrap_servers(self) -> str:
        """`127.0.0.1:<port>`; raises WrongStateError before the first start."""
        if self._port is None:
            raise WrongStateError("The port of Kafka is known after start(); call it first.")
        return f"{LOOPBACK}:{self._port}"

    @property
    def administrations_servers(self) -> str:
        """Where administrations connect, with SCRAM-SHA-512; raises WrongStateError before the first start."""
        if self._administrations_port is None:
            raise WrongStateError("The port of Kafka is known after start(); call it first.")
        return f"{LOOPBACK}:{self._administrations_port}"

    @property
    def pid(self) -> int | None:
        """Process id while running, else None."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        """True while the process lives (paused counts as living)."""
        return self._process is not None and self._process.running

    @property
    def exit_code(self) -> int | None:
        """How the last process ended; None while running or before the first start."""
        return self._process.exit_code if self._process is not None else None

    def start(self, *, wait: bool = True) -> None:
        """Start on the kept data and block until the broker answers a metadata request.

        With `wait=False` return at once; call `wait_ready()` later. Does nothing if running.
        Raises ComponentStartError (with the end of the log), PortTakenError,
        DistributionUnavailableError.
        """
        if self.running:
            return
        distribution = prepare_distribution(self._on_progress)
        self._launch(distribution)
        if wait:
            self.wait_ready()
        if not distribution.aot_cache.exists() and self._training is None:
            self._training = threading.Thread(
                target=self._train,
                args=(distribution,),
                name="kafka-training",
                daemon=True,
            )
            self._training.start()

    def wait_ready(self, brokers: int = 1) -> None:
        """Block until a metadata answer lists `brokers` brokers. Raises ComponentStartError."""
        deadline = time.monotonic() + START_SECONDS
        while not self._answers(brokers):
            if self.exit_code is not None:
                self._fail(f"its process ended with code {self.exit_code}")
            if time.monotonic() > deadline:
                self._fail(f"it did not answer within {START_SECONDS:.0f} s")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop in order: close the segments, then end. Data is kept.

        The first stop of a user's life may take some 10 s more: it lets the start-up cache finish.
        """
        if self._process is not None:
            self._process.stop(_STOP_GRACE_SECONDS)
        if self._training is not None:
            self._training.join(_TRAINING_SECONDS)
            self._training = None
        if self._own_watchdog:
            self._watchdog.close()

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone. `start()` brings it back on its data."""
        if self._process is not None:
            self._process.kill()

    def pause(self) -> None:
        """SIGSTOP: the port stays open, nothing answers."""
        self._living().pause()

    def resume(self) -> None:
        """SIGCONT."""
        self._living().resume()

    def discard(self) -> None:
        """Stop and delete the folder."""
        self.stop()
        delete_folder(self.folder)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; delete the folder if it is a temporary one."""
        if self._temporary:
            self.discard()
        else:
            self.stop()

    def _launch(self, distribution: KafkaDistribution) -> None:
        port = self._settled_port()
        membership = self._settled_membership()
        temporary = self.folder / "temporary"
        delete_folder(temporary)
        temporary.mkdir(parents=True)
        properties = self.folder / "server.properties"
        data = self.folder / "data"
        properties.write_text(
            node_properties(
                membership,
                data=data,
                port=port,
                administrations_port=self._settled_administrations_port(),
                listeners=self._listeners,
                overrides=self._overrides,
            )
        )
        format_folder(distribution, membership, properties, data)
        # Grows only when there are many topics: each of thousands of administrations has three.
        options = [f"-Xms{self._heap_mib}m", f"-Xmx{_GROWTH * self._heap_mib}m"]
        if distribution.aot_cache.exists():
            options.append(f"-XX:AOTCache={distribution.aot_cache}")
        self._process = ChildProcess(
            broker_command(distribution, self.folder, options),
            log_path=self.log_path,
            watchdog=self._watchdog,
            folder=self.folder,
        )

    def _settled_port(self) -> int:
        if self._port is None or not self._port_is_settled:
            self._port = kept_port(self.folder / "port", self._port, "kafka")
            self._port_is_settled = True
        elif not port_is_free(self._port):
            raise PortTakenError("kafka", self._port)
        return self._port

    def _settled_administrations_port(self) -> int:
        if self._administrations_port is None:
            file = self.folder / "administrations-port"
            self._administrations_port = kept_port(file, None, "kafka's listener for administrations")
        return self._administrations_port

    def _settled_membership(self) -> Membership:
        if self._membership is None:
            controller = kept_port(self.folder / "controller-port", None, "kafka's controller")
            self._membership = Membership(node_id=1, voters={1: controller})
        return self._membership

    def _answers(self, brokers: int) -> bool:
        if self._port is None or not port_answers(self._port):
            return False
        # log_level 0: the library would write a refused connection to the terminal.
        client = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        with contextlib.suppress(KafkaException):
            return len(client.list_topics(timeout=2).brokers) >= brokers
        return False

    def _fail(self, reason: str) -> None:
        error = ComponentStartError("kafka", reason, self.log_path)
        self.kill()
        raise error

    def _living(self) -> ChildProcess:
        if self._process is None or not self.running:
            raise WrongStateError("Kafka is not running; call start() first.")
        return self._process

    def _train(self, distribution: KafkaDistribution) -> None:
        """Make the start-up cache from a training run; another process at it means: leave it."""
        with (
            contextlib.suppress(Timeout),
            distribution.lock("training").acquire(blocking=False),
        ):
            if not distribution.aot_cache.exists():
                train_aot_cache(distribution, self._watchdog, self._heap_mib)


def broker_command(distribution: KafkaDistribution, folder: Path, options: Sequence[str]) -> list[str]:
    """The broker's command line; writes its logging configuration into `folder`."""
    logging = folder / "log4j2.properties"
    logging.write_text(LOGGING_PROPERTIES)
    command = distribution.java_command(
        "kafka.Kafka",
        f"-Dlog4j2.configurationFile={logging}",
        f"-Djava.io.tmpdir={folder / 'temporary'}",
        *options,
    )
    return [*command, str(folder / "server.properties")]


def train_aot_cache(distribution: KafkaDistribution, watchdog: Watchdog, heap_mib: int) -> None:
    """Run a throw-away broker that records what it loads; writes `distribution.aot_cache`.

    Takes some 12 s at low priority. Leaves no cache behind if the run fails: brokers then start
    without one.
    """
    folder = temporary_folder("training")
    partial = distribution.aot_cache.with_suffix(".partial")
    try:
        (folder / "temporary").mkdir()
        membership = Membership(node_id=1, voters={1: free_port()})
        port = free_port()
        properties = folder / "server.properties"
        properties.write_text(
            node_properties(
                membership,
                data=folder / "data",
                port=port,
                administrations_port=free_port(),
                listeners=(),
                overrides={},
            )
        )
        format_folder(distribution, membership, properties, folder / "data")
        options = [f"-Xmx{heap_mib}m", f"-XX:AOTCacheOutput={partial}"]
        process = ChildProcess(
            broker_command(distribution, folder, options),
            log_path=folder / "kafka.log",
            watchdog=watchdog,
            folder=folder,
            niceness=15,
        )
        deadline = time.monotonic() + START_SECONDS
        while process.running and not port_answers(port) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.stop(_TRAINING_SECONDS)
        if partial.exists():
            partial.replace(distribution.aot_cache)
    finally:
        delete_folder(folder)
