"""What a service needs to know of the Kafka cluster it met: who it is, and which topics it has."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient

from shared.contracts.topics import INTERNAL, Topic


class WrongTopicSettings(Exception):
    """A topic is missing or set up otherwise than declared: provision topics, then start again."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster's id and the partition count of each of its topics."""

    cluster_id: str
    topics: Mapping[str, int]


async def read_cluster(bootstrap_servers: str) -> Cluster:
    """Asks the cluster. Raises aiokafka's KafkaError when it does not answer."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        await admin.start()
        facts = await admin.describe_cluster()
        names = await admin.list_topics()
        described = await admin.describe_topics(list(names)) if names else []
    finally:
        await admin.close()
    return Cluster(facts["cluster_id"], {topic["topic"]: len(topic["partitions"]) for topic in described})


async def wait_for_cluster(bootstrap_servers: str, patience: float) -> Cluster | None:
    """The cluster, or None when it does not answer within `patience` seconds."""
    from aiokafka.errors import KafkaError

    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + patience
    while True:
        try:
            return await read_cluster(bootstrap_servers)
        except (KafkaError, OSError):
            if loop.time() > give_up_at:
                return None
            await asyncio.sleep(0.2)


def check_topics(cluster: Cluster, needed: tuple[Topic, ...] = INTERNAL) -> None:
    """Raises WrongTopicSettings unless every needed topic has its declared partitions."""
    for topic in needed:
        found = cluster.topics.get(topic.name)
        if found is None:
            raise WrongTopicSettings(f"topic {topic.name} does not exist: run `./chikaya up`, or provision the topics")
        if found != topic.partitions:
            raise WrongTopicSettings(
                f"topic {topic.name} has {found} partitions and must have {topic.partitions}: order per complaint "
                "depends on it; restore the topic as declared"
            )
