"""Several Kafka nodes on one machine, for tests of lost brokers and of min.insync.replicas."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local.folders import delete_folder, temporary_folder
from deploy.local.kafka import EmbeddedKafka
from deploy.local.kafka_distribution import Progress
from deploy.local.kafka_node import Membership, new_cluster_id
from deploy.local.processes import free_port
from deploy.local.watchdog import Watchdog


class EmbeddedKafkaCluster:
    """`count` combined nodes: replication factor `count`, min.insync.replicas `count - 1`.

    `nodes` are ordinary EmbeddedKafka objects: kill, pause and start them one by one.
    """

    def __init__(
        self,
        count: int = 3,
        folder: Path | None = None,
        *,
        server_properties: Mapping[str, str] | None = None,
        on_progress: Progress | None = None,
    ) -> None:
        """Nothing is started yet. Without a folder a temporary one is used."""
        self._temporary = folder is None
        self.folder = (folder or temporary_folder("kafka-cluster")).absolute()
        self._watchdog = Watchdog()
        cluster_id = self._kept_cluster_id()
        voters = {node_id: free_port() for node_id in range(1, count + 1)}
        self.nodes = [
            EmbeddedKafka(
                self.folder / f"node-{node_id}",
                server_properties=server_properties,
                membership=Membership(node_id, voters, cluster_id),
                heap_mib=192,
                on_progress=on_progress,
                watchdog=self._watchdog,
            )
            for node_id in voters
        ]

    @property
    def bootstrap_servers(self) -> str:
        """The addresses of all nodes, comma-separated."""
        return ",".join(node.bootstrap_servers for node in self.nodes)

    def start(self) -> None:
        """Start every node that does not run; block until each of them knows all of them."""
        for node in self.nodes:
            node.start(wait=False)
        for node in self.nodes:
            node.wait_ready(brokers=len(self.nodes))

    def stop(self) -> None:
        """Stop every node, the last one started first."""
        for node in reversed(self.nodes):
            node.stop()
        self._watchdog.close()

    def discard(self) -> None:
        """Kill every node and delete the folder."""
        for node in self.nodes:
            node.kill()
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

    def _kept_cluster_id(self) -> str:
        file = self.folder / "cluster-id"
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            file.write_text(new_cluster_id())
        return file.read_text()
