"""Creates the topics of Chikaya with an administrator's rights. Services only check them."""

from collections.abc import Iterable
from itertools import chain

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from shared.contracts.administrations import Onboarding, registry
from shared.contracts.topics import (
    INTERNAL,
    MAXIMUM_RECORD,
    Topic,
    administration_inbox,
    administration_outbox,
    administration_rejected,
    dead_letters,
)

_CONSUMING_SERVICES = ("classifier", "dispatcher", "tracker", "notifier")
_TIMEOUT = 30.0


def provision_topics(bootstrap_servers: str, *, replication_factor: int = 1) -> None:
    """Creates the internal topics and those of every administration that is ready; leaves existing ones alone."""
    ready = (body.code for body in registry().values() if body.onboarding is Onboarding.READY)
    create_topics(
        bootstrap_servers,
        chain(
            INTERNAL,
            map(dead_letters, _CONSUMING_SERVICES),
            chain.from_iterable(map(topics_of, ready)),
        ),
        replication_factor=replication_factor,
    )


def topics_of(code: str) -> tuple[Topic, Topic, Topic]:
    """The three topics of an administration."""
    return (
        administration_inbox(code),
        administration_outbox(code),
        administration_rejected(code),
    )


def create_topics(bootstrap_servers: str, topics: Iterable[Topic], *, replication_factor: int = 1) -> None:
    """Creates those topics that do not exist. Raises KafkaException when the cluster refuses one."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    existing = admin.list_topics(timeout=_TIMEOUT).topics
    make_topics(admin, (topic for topic in topics if topic.name not in existing), replication_factor)


def make_topics(admin: AdminClient, topics: Iterable[Topic], replication_factor: int) -> None:
    """Creates topics; one that is there already stays as it is. Raises KafkaException when the cluster refuses one."""
    missing = [_new_topic(topic, replication_factor) for topic in topics]
    if not missing:
        return
    for future in admin.create_topics(missing, operation_timeout=_TIMEOUT).values():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def _new_topic(topic: Topic, replication_factor: int) -> NewTopic:
    retention = -1 if topic.retention is None else int(topic.retention.total_seconds() * 1000)
    config = {
        "retention.ms": str(retention),
        "retention.bytes": "-1",
        "cleanup.policy": "delete",
        "max.message.bytes": str(topic.maximum_record + 1_048_576 - MAXIMUM_RECORD),
        "min.insync.replicas": str(max(replication_factor - 1, 1)),
    }
    return NewTopic(topic.name, topic.partitions, replication_factor, config=config)
