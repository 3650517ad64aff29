"""A service refuses a cluster whose topics are not as declared."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from deploy.provisioning import create_topics, provision_topics
from shared.contracts.topics import INTERNAL, LIFECYCLE
from shared.messaging.cluster import Cluster, WrongTopicSettings, check_topics, read_cluster
from shared.testing.stores import Stores


@pytest.fixture
def provisioned(stores: Stores) -> Iterator[str]:
    provision_topics(stores.bootstrap_servers)
    create_topics(stores.bootstrap_servers, INTERNAL)
    yield stores.bootstrap_servers


async def test_provisioned_topics_are_as_declared(provisioned: str) -> None:
    cluster = await read_cluster(provisioned)
    assert cluster.cluster_id
    check_topics(cluster)


async def test_other_settings_are_refused(provisioned: str) -> None:
    cluster: Cluster = await read_cluster(provisioned)
    for wrong in (
        replace(cluster, topics={**cluster.topics, LIFECYCLE.name: 3}),
        replace(cluster, topics={name: n for name, n in cluster.topics.items() if name != LIFECYCLE.name}),
        replace(cluster, retention={**cluster.retention, LIFECYCLE.name: 604_800_000}),
    ):
        with pytest.raises(WrongTopicSettings, match=LIFECYCLE.name):
            check_topics(wrong)
