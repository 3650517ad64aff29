"""What a service needs to know of the Kafka cluster it met: who it is, and which topics it has."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.contracts.topics import INTERNAL, Topic

_KEPT_FOR_EVER = -1


class WrongTopicSettings(Exception):
    """A topic is missing or set up otherwise than declared: provision topics, then start again."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster's id, the partition count of each of its topics, and the `retention.ms` of the internal ones."""

    cluster_id: str
    topics: Mapping[str, int]
    retention: Mapping[str, int]


async def read_cluster(bootstrap_servers: str) -> Cluster:
    """Asks the cluster. Raises aiokafka's KafkaError when it does not answer."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        await admin.start()
        facts = await admin.describe_cluster()
        topics = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
        retention = await _retention(admin, [topic.name for topic in INTERNAL if topic.name in topics])
    finally:
        await admin.close()
    return Cluster(facts["cluster_id"], topics, retention)


async def _retention(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    if not names:
        return {}
    wanted = [ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": None}) for name in names]
    return {
        resource[3]: int(entry[1])
        for response in await admin.describe_configs(wanted)
        for resource in response.resources
        for entry in resource[4]
        if entry[0] == "retention.ms"
    }


def check_topics(cluster: Cluster, needed: tuple[Topic, ...] = INTERNAL) -> None:
    """Raises WrongTopicSettings unless every needed topic has its declared partitions and retention."""
    for topic in needed:
        found = cluster.topics.get(topic.name)
        if found is None:
            raise WrongTopicSettings(f"topic {topic.name} does not exist: run `./chikaya up`, or provision the topics")
        if found != topic.partitions:
            raise WrongTopicSettings(
                f"topic {topic.name} has {found} partitions and must have {topic.partitions}: order per complaint "
                "depends on it; restore the topic as declared"
            )
        declared = _KEPT_FOR_EVER if topic.retention is None else int(topic.retention.total_seconds() * 1000)
        if cluster.retention[topic.name] != declared:
            raise WrongTopicSettings(
                f"topic {topic.name} has retention.ms {cluster.retention[topic.name]} and must have {declared}: "
                "it is a recovery log; correct the setting before records expire"
            )
