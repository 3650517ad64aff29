"""The embedded stack: what is started works, survives crashes on its data, and leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    NewTopic,
)

from deploy.local.errors import ComponentStartError, PortTakenError, WrongStateError
from deploy.local.kafka import AdvertisedListener, EmbeddedKafka
from deploy.local.kafka_cluster import EmbeddedKafkaCluster
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import ChildProcess, free_port, port_answers
from deploy.local.stack import (
    LocalStack,
    ServiceDefinition,
    StackAlreadyRunningError,
)
from deploy.local.state import read_state
from deploy.local.supervision import ServiceProcess, Supervisor
from deploy.local.watchdog import Watchdog

CHECKOUT = Path(__file__).resolve().parents[2]
NOBODY = 65534

SLEEPER = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)
READY_SERVICE = """
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass

address = os.environ["CHIKAYA_HTTP_HOST"], int(os.environ["CHIKAYA_HTTP_PORT"])
http.server.HTTPServer(address, Handler).serve_forever()
"""


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def create_topic(bootstrap_servers: str, name: str, replicas: int = 1) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, 1, replicas)])[name].result(20)


def produce(bootstrap_servers: str, topic: str, value: str) -> None:
    """Write one record that every in-sync replica has."""
    errors: list[object] = []
    producer = Producer({"bootstrap.servers": bootstrap_servers, "acks": "all"})
    producer.produce(topic, value, on_delivery=lambda error, _: errors.append(error))
    producer.flush(20)
    assert errors == [None]


def end_offset(bootstrap_servers: str, topic: str) -> int:
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "test", "log_level": 0})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, 0), 20)[1]
    finally:
        consumer.close()


@pytest.fixture(scope="module")
def kafka() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka() as running:
        yield running


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres() as running:
        yield running


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    opened = Watchdog()
    yield opened
    opened.close()


class TestKafka:
    def test_keeps_data_and_port_over_stop_and_kill(self, kafka: EmbeddedKafka) -> None:
        address = kafka.bootstrap_servers
        create_topic(address, "kept")
        produce(address, "kept", "one")
        kafka.stop()
        kafka.start()
        produce(address, "kept", "two")
        kafka.kill()
        assert kafka.exit_code == -signal.SIGKILL
        kafka.start()
        assert kafka.bootstrap_servers == address
        assert end_offset(address, "kept") == 2

    def test_unknown_topics_are_not_created(self, kafka: EmbeddedKafka) -> None:
        metadata = AdminClient({"bootstrap.servers": kafka.bootstrap_servers}).list_topics("never-created", 10)
        assert metadata.topics["never-created"].error is not None

    def test_paused_broker_keeps_its_port_open(self, kafka: EmbeddedKafka) -> None:
        kafka.pause()
        try:
            port = int(kafka.bootstrap_servers.rpartition(":")[2])
            assert port_answers(port)
            assert kafka.running
        finally:
            kafka.resume()
        kafka.wait_ready()

    def test_taken_port_is_a_clear_error(self, kafka: EmbeddedKafka, tmp_path: Path) -> None:
        port = int(kafka.bootstrap_servers.rpartition(":")[2])
        with pytest.raises(PortTakenError, match=str(port)):
            EmbeddedKafka(tmp_path, port=port).start()

    def test_failed_start_tells_the_end_of_the_log(self, tmp_path: Path) -> None:
        broken = EmbeddedKafka(tmp_path, server_properties={"num.io.threads": "many"})
        with pytest.raises(ComponentStartError, match=r"num\.io\.threads"):
            broken.start()
        assert not broken.running
        broken.stop()

    def test_additional_listener_is_advertised_at_the_proxy(self, tmp_path: Path) -> None:
        listener = AdvertisedListener("PROXIED", free_port(), free_port())
        with EmbeddedKafka(tmp_path, listeners=[listener]):
            admin = AdminClient(
                {
                    "bootstrap.servers": f"127.0.0.1:{listener.listen_port}",
                    "log_level": 0,
                }
            )
            (broker,) = admin.list_topics(timeout=10).brokers.values()
        assert broker.port == listener.advertised_port

    def test_cluster_accepts_with_two_of_three_brokers(self) -> None:
        with EmbeddedKafkaCluster(3) as cluster:
            create_topic(cluster.bootstrap_servers, "replicated", replicas=3)
            produce(cluster.bootstrap_servers, "replicated", "one")
            cluster.nodes[0].kill()
            produce(cluster.bootstrap_servers, "replicated", "two")
            assert end_offset(cluster.bootstrap_servers, "replicated") == 2


class TestPostgres:
    async def test_keeps_data_and_port_over_stop_and_kill(self, postgres: EmbeddedPostgres) -> None:
        url = postgres.create_database("kept")
        assert postgres.create_database("kept") == url
        await execute(url, "CREATE TABLE kept (number int)")
        for number in (1, 2):
            await execute(url, f"INSERT INTO kept VALUES ({number})")
            postgres.kill() if number == 1 else postgres.stop()
            postgres.start()
        assert postgres.url("kept") == url
        assert await value(url, "SELECT sum(number) FROM kept") == 3

    async def test_is_durable_and_asks_for_its_password(self, postgres: EmbeddedPostgres) -> None:
        assert await value(postgres.url(), "SHOW fsync") == "on"
        password_file = postgres.folder / "password"
        assert password_file.stat().st_mode & 0o777 == 0o600
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(
                host="127.0.0.1",
                port=postgres.port,
                user="postgres",
                password="wrong",
            )

    async def test_pause_freezes_open_connections(self, postgres: EmbeddedPostgres) -> None:
        connection = await asyncpg.connect(postgres.url())
        try:
            postgres.pause()
            with pytest.raises(TimeoutError):
                await connection.execute("SELECT 1", timeout=0.3)
        finally:
            postgres.resume()
            connection.terminate()
        assert await value(postgres.url(), "SELECT 1") == 1

    @pytest.mark.parametrize("online", [True, False], ids=["online", "cold"])
    async def test_restore_goes_back_on_a_new_timeline(
        self, postgres: EmbeddedPostgres, tmp_path: Path, *, online: bool
    ) -> None:
        url = postgres.create_database(f"restored_{online}".lower())
        await execute(url, "CREATE TABLE t (number int)")
        if not online:
            postgres.stop()
        postgres.backup(tmp_path / "backup")
        postgres.start()
        timelines = {await timeline(url)}
        for restores in (1, 2):
            await execute(url, "INSERT INTO t VALUES (1)")
            with pytest.raises(WrongStateError):
                postgres.restore(tmp_path / "backup")
            postgres.stop()
            postgres.restore(tmp_path / "backup")
            postgres.start()
            assert await value(url, "SELECT count(*) FROM t") == 0
            timelines.add(await timeline(url))
            assert len(timelines) == restores + 1

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
    def test_runs_as_an_ordinary_user(self) -> None:
        python = python_of_everybody()
        home = Path(tempfile.mkdtemp(prefix="chikaya-nobody-"))
        os.chown(home, NOBODY, NOBODY)
        program = (
            "from pathlib import Path\n"
            "from deploy.local.postgres import EmbeddedPostgres\n"
            "postgres = EmbeddedPostgres(Path.home() / 'data')\n"
            "for _ in range(2):\n"
            "    postgres.start()\n"
            "    postgres.create_database('kept')\n"
            "    postgres.stop()\n"
            "print('done')\n"
        )
        try:
            result = subprocess.run(
                [*as_nobody(home), python, "-c", program],
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert (result.stdout, result.stderr) == ("done\n", "")
            assert (home / "data" / "data").stat().st_uid == NOBODY
        finally:
            shutil.rmtree(home)


class TestSupervision:
    def test_crashed_child_is_started_again(self, watchdog: Watchdog, tmp_path: Path) -> None:
        restarts: list[int | None] = []
        service = ServiceProcess(
            "sleeper",
            [sys.executable, "-c", SLEEPER],
            log_path=tmp_path / "log",
            watchdog=watchdog,
        )
        service.start()
        first = service.pid
        assert first is not None
        supervisor = Supervisor(watchdog, lambda: restarts.append(service.pid))
        supervisor.add_tier({"sleeper": service})
        supervisor.watch()
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: len(restarts) == 1)
        second = service.pid
        assert second is not None
        assert second != first
        supervisor.stop()
        assert not lives(second)

    def test_crashing_child_is_restarted_ever_more_slowly(self, watchdog: Watchdog, tmp_path: Path) -> None:
        starts = tmp_path / "starts"
        program = f"open({str(starts)!r}, 'a').write('x')"
        service = ServiceProcess(
            "crasher",
            [sys.executable, "-c", program],
            log_path=tmp_path / "log",
            watchdog=watchdog,
        )
        service.start()
        supervisor = Supervisor(watchdog)
        supervisor.add_tier({"crasher": service})
        supervisor.watch()
        time.sleep(4)
        supervisor.stop()
        assert 2 <= len(starts.read_text()) <= 4

    def test_child_deaf_to_sigterm_is_killed_after_the_grace_time(self, watchdog: Watchdog, tmp_path: Path) -> None:
        log = tmp_path / "log"
        child = ChildProcess([sys.executable, "-c", STUBBORN], log_path=log, watchdog=watchdog)
        assert eventually(lambda: "deaf" in log.read_text())
        child.stop(grace_seconds=0.2)
        assert child.exit_code == -signal.SIGKILL

    def test_killed_watchdog_is_replaced_and_learns_every_child(self, watchdog: Watchdog, tmp_path: Path) -> None:
        child = ChildProcess(
            [sys.executable, "-c", SLEEPER],
            log_path=tmp_path / "log",
            watchdog=watchdog,
        )
        first = watchdog.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: not lives(first))
        watchdog.open()
        watchdog.close()
        assert eventually(lambda: not child.running)


class TestLocalStack:
    def test_second_stack_on_the_folder_is_refused(self, tmp_path: Path) -> None:
        stack = dummy_stack(tmp_path)
        stack.start()
        try:
            ports = dict(stack.addresses)
            state = read_state(tmp_path)
            assert state is not None
            assert state.phase == "ready"
            assert set(state.addresses) >= {"kafka", "postgres", "portal", "intake"}
            assert (tmp_path / "stack.json").stat().st_mode & 0o777 == 0o600
            with pytest.raises(StackAlreadyRunningError):
                dummy_stack(tmp_path).start()
        finally:
            stack.stop()
        assert read_state(tmp_path) is None
        again = dummy_stack(tmp_path)
        again.start()
        again.stop()
        assert again.addresses == ports

    def test_failing_service_stops_everything(self, tmp_path: Path) -> None:
        broken = ServiceDefinition("intake", free_port(), (sys.executable, "-c", "raise SystemExit('no luck')"))
        stack = dummy_stack(tmp_path, broken)
        with pytest.raises(ComponentStartError, match="no luck"):
            stack.start()
        assert not stack.kafka.running
        assert not stack.postgres.running

    def test_killed_supervisor_leaves_no_process(self, tmp_path: Path) -> None:
        program = (
            "import sys\n"
            "from pathlib import Path\n"
            "from tests.system.test_embedded_stack import dummy_stack\n"
            "dummy_stack(Path(sys.argv[1])).start()\n"
            "print('ready', flush=True)\n"
            "sys.stdin.read()\n"
        )
        owner = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=CHECKOUT,
        )
        assert owner.stdin is not None
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        recorded = json.loads((tmp_path / "stack.json").read_text())["processes"]
        pids = [process["pid"] for process in recorded]
        assert len(pids) == 5
        assert all(lives(pid) for pid in pids)
        descendants = psutil.Process(owner.pid).children(recursive=True)
        owner.kill()
        owner.wait()
        owner.stdin.close()
        owner.stdout.close()
        assert eventually(lambda: not any(lives(one.pid) for one in descendants), 15)
        # What it left on disk does not disturb the next one.
        stack = dummy_stack(tmp_path)
        stack.start()
        stack.stop()


def dummy_stack(folder: Path, *services: ServiceDefinition) -> LocalStack:
    """A stack with two services that are ready at once, and no topics or tables."""
    ready = (sys.executable, "-c", READY_SERVICE)
    default = (
        ServiceDefinition("portal", free_port(), ready, has_database=False),
        ServiceDefinition("intake", free_port(), ready),
    )
    return LocalStack(
        folder,
        services=services or default,
        prepare=lambda _kafka, _databases: (lambda: None, lambda: None),
    )


def as_nobody(home: Path) -> list[str]:
    """Command prefix: another user, with nothing of root's environment."""
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    drop = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    environment = [
        "PATH=/usr/bin:/bin",
        f"PYTHONPATH={CHECKOUT}:{packages}",
        f"HOME={home}",
    ]
    return ["setpriv", *drop, "env", "-i", "-C", str(home), *environment]


def python_of_everybody() -> str:
    """A Python of the same version that an ordinary user may run, with this checkout's packages."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for folder in ("/usr/bin", "/usr/local/bin"):
        probe = [
            *as_nobody(Path("/tmp")),
            f"{folder}/{name}",
            "-c",
            "import psutil, deploy.local",
        ]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return f"{folder}/{name}"
    pytest.skip(f"no {name} that an ordinary user may run, or the checkout is private to root")


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def timeline(url: str) -> object:
    return await value(url, "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")
