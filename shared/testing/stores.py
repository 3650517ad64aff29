"""A real Kafka and a real PostgreSQL for tests: containers where a Docker engine answers, else the embedded stack.

The images are `CHIKAYA_TEST_KAFKA_IMAGE` (made like `apache/kafka`) and `CHIKAYA_TEST_POSTGRES_IMAGE`.
"""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import asyncpg
from confluent_kafka.admin import AdminClient
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import free_port
from shared.database.migrations import migrate
from shared.database.pool import Database, incarnation_of

_numbers = count(1)


@dataclass(frozen=True)
class Stores:
    """Kafka for services and for administrations (SCRAM), and the URL of a database from which others can be made."""

    bootstrap_servers: str
    administrations_servers: str
    postgres_url: str

    def database(self, service: str) -> str:
        """The URL of a new database with the schema of a service."""
        name = f"{service}_{os.getpid()}_{next(_numbers)}"
        asyncio.run(_create(self.postgres_url, name))
        url = f"{self.postgres_url.rpartition('/')[0]}/{name}"
        migrate(url, service)
        return url


@contextmanager
def running_stores() -> Iterator[Stores]:
    """Stores that live as long as the block."""
    if _docker_answers():
        with _kafka_container() as (bootstrap_servers, administrations_servers), _postgres_container() as url:
            yield Stores(bootstrap_servers, administrations_servers, url)
    else:
        with EmbeddedKafka() as kafka, EmbeddedPostgres() as postgres:
            yield Stores(kafka.bootstrap_servers, kafka.administrations_servers, postgres.url("postgres"))


def _docker_answers() -> bool:
    if "DOCKER_HOST" in os.environ:
        return True
    with socket.socket(socket.AF_UNIX) as engine:
        return engine.connect_ex("/var/run/docker.sock") == 0


@contextmanager
def _kafka_container() -> Iterator[tuple[str, str]]:
    port, secured = free_port(), free_port()
    environment = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093,ADMINISTRATIONS://:9094",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port},ADMINISTRATIONS://127.0.0.1:{secured}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": (
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,ADMINISTRATIONS:SASL_PLAINTEXT"
        ),
        # The image writes a dot as _, and a dash as ___.
        "KAFKA_LISTENER_NAME_ADMINISTRATIONS_SASL_ENABLED_MECHANISMS": "SCRAM-SHA-512",
        "KAFKA_LISTENER_NAME_ADMINISTRATIONS_SCRAM___SHA___512_SASL_JAAS_CONFIG": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "KAFKA_AUTHORIZER_CLASS_NAME": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "KAFKA_SUPER_USERS": "User:ANONYMOUS",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }
    image = os.environ.get("CHIKAYA_TEST_KAFKA_IMAGE", "apache/kafka:4.3.1")
    container = DockerContainer(image, env=environment).with_bind_ports(9092, port).with_bind_ports(9094, secured)
    container.waiting_for(LogMessageWaitStrategy("Kafka Server started"))
    with container:
        bootstrap_servers = f"127.0.0.1:{port}"
        AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=60)
        yield bootstrap_servers, f"127.0.0.1:{secured}"


@contextmanager
def _postgres_container() -> Iterator[str]:
    image = os.environ.get("CHIKAYA_TEST_POSTGRES_IMAGE", "postgres:18")
    with PostgresContainer(image, driver=None) as container:
        yield container.get_connection_url()


async def _create(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


async def trusted_database(url: str) -> Database:
    """An open database whose server is trusted as it is, without a look at Kafka; close it after use."""
    database = Database(url)
    await database.open()
    connection = await database.connect()
    database.trust(await incarnation_of(connection))
    await connection.close()
    return database
