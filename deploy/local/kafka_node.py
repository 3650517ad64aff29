"""How one Kafka node is laid out: its place in a cluster, its configuration, its formatted folder."""

from __future__ import annotations

import base64
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import ComponentStartError
from deploy.local.folders import delete_folder, temporary_folder
from deploy.local.kafka_distribution import (
    KafkaDistribution,
)
from deploy.local.processes import LOOPBACK


@dataclass(frozen=True)
class AdvertisedListener:
    """One more plaintext listener, told to clients under another port (where a proxy listens)."""

    name: str
    listen_port: int
    advertised_port: int


@dataclass(frozen=True)
class Membership:
    """A node's place in its cluster: `voters` are the controllers, by node id, with their ports."""

    node_id: int
    voters: Mapping[int, int]
    cluster_id: str | None = None
    """None: the node invents one when its folder is first formatted."""


def new_cluster_id() -> str:
    """A random cluster id as Kafka writes it (22 characters of URL-safe base 64)."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


_SECURED = "ADMINISTRATIONS"

_SAME_FOR_EVERY_NODE = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "CLIENT",
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    # Services come in by the plaintext listener, which only this machine reaches; administrations by the secured one.
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
    "allow.everyone.if.no.acl.found": "false",
    "listener.name.administrations.sasl.enabled.mechanisms": "SCRAM-SHA-512",
    "listener.name.administrations.scram-sha-512.sasl.jaas.config": (
        "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    ),
    # Halves the resident memory; the cleaner has little to compact here.
    "log.cleaner.dedupe.buffer.size": "2097152",
    # After a SIGKILL the controller refuses the new process until the old one's session ends.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
}

_QUICK_ELECTIONS = {
    "controller.quorum.election.timeout.ms": "1000",
    "controller.quorum.fetch.timeout.ms": "2000",
}


def node_properties(
    membership: Membership,
    *,
    data: Path,
    port: int,
    administrations_port: int,
    listeners: Sequence[AdvertisedListener],
    overrides: Mapping[str, str],
) -> str:
    """The node's `server.properties`; `overrides` win."""
    voters = membership.voters
    properties = {
        **_SAME_FOR_EVERY_NODE,
        **(_QUICK_ELECTIONS if len(voters) > 1 else {}),
        "node.id": str(membership.node_id),
        "log.dirs": str(data),
        "controller.quorum.voters": ",".join(f"{node}@{LOOPBACK}:{at}" for node, at in voters.items()),
        **_listener_properties(membership, port, administrations_port, listeners),
        **_replication_properties(len(voters)),
    }
    return _as_properties({**properties, **overrides})


def _listener_properties(
    membership: Membership, port: int, administrations_port: int, listeners: Sequence[AdvertisedListener]
) -> dict[str, str]:
    advertise = {"CLIENT": port, _SECURED: administrations_port}
    listen = {**advertise, "CONTROLLER": membership.voters[membership.node_id]}
    listen |= {listener.name: listener.listen_port for listener in listeners}
    advertise |= {listener.name: listener.advertised_port for listener in listeners}
    protocols = {name: "SASL_PLAINTEXT" if name == _SECURED else "PLAINTEXT" for name in listen}
    return {
        "listeners": _addresses(listen),
        "advertised.listeners": _addresses(advertise),
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
    }


def _addresses(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in ports.items())


def _replication_properties(nodes: int) -> dict[str, str]:
    """Every topic on every node; one of several may be away."""
    replicas, in_sync = str(nodes), str(max(1, nodes - 1))
    return {
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
    }


LOGGING_PROPERTIES = """\
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %c: %m%n
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = INFO
"""


def format_folder(
    distribution: KafkaDistribution,
    membership: Membership,
    properties: Path,
    data: Path,
) -> None:
    """Make `data` a formatted, empty node, unless it is formatted already.

    A formatted folder is two files that differ between nodes only in three ids, so the storage tool
    (0.5 s and more) runs once per user and its result is copied.
    """
    if (data / "meta.properties").exists():
        return
    template = _template(distribution, properties)
    delete_folder(data)
    data.mkdir(parents=True)
    for file in template.iterdir():
        if file.name != "meta.properties":
            shutil.copy(file, data / file.name)
    meta = {
        "version": "1",
        "cluster.id": membership.cluster_id or new_cluster_id(),
        "node.id": str(membership.node_id),
        "directory.id": new_cluster_id(),
    }
    # Last: its presence says that the folder is complete.
    (data / "meta.properties").write_text(_as_properties(meta))


def _template(distribution: KafkaDistribution, properties: Path) -> Path:
    template = distribution.template
    with distribution.lock("formatted"):
        if template.exists():
            return template
        work = temporary_folder("format")
        try:
            output = work / "data"
            own = work / "server.properties"
            own.write_text(f"{properties.read_text()}\nlog.dirs={_escaped(str(output))}\n")
            _run_storage_tool(distribution, own)
            partial = template.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(output, partial)
            partial.rename(template)
        finally:
            delete_folder(work)
    return template


def _run_storage_tool(distribution: KafkaDistribution, properties: Path) -> None:
    command = distribution.java_command("kafka.tools.StorageTool")
    result = subprocess.run(
        [*command, "format", "-t", new_cluster_id(), "-c", str(properties)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if result.returncode != 0:
        output = (result.stdout + result.stderr).strip()
        raise ComponentStartError("kafka", f"its storage tool failed: {output}", None)


def _as_properties(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={_escaped(value)}\n" for name, value in values.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\")
