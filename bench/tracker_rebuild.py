"""Events a second of a rebuild of the tracker's read model from a real Kafka: reading, rows, indexes, switch.

python -m bench.tracker_rebuild --complaints 30000
"""

import argparse
import asyncio
import time

from deploy.commands.tracker import TOPICS, rebuild_model
from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import EmbeddedPostgres
from deploy.provisioning import create_topics
from shared.database.migrations import migrate
from shared.testing.histories import histories
from shared.testing.publishing import publish, sequenced
from shared.testing.read_model import FILLED_UNTIL


def main() -> None:
    """Publishes, rebuilds, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--complaints", type=int, default=20_000)
    options = parser.parse_args()
    with EmbeddedKafka() as kafka, EmbeddedPostgres() as postgres:
        url = postgres.create_database("tracker")
        migrate(url, "tracker")
        create_topics(kafka.bootstrap_servers, TOPICS)
        found = histories(options.complaints, 1, FILLED_UNTIL, days=730)
        publish(kafka.bootstrap_servers, sequenced(event for one in found for event in one.events()))
        start = time.perf_counter()
        read = asyncio.run(rebuild_model(kafka.bootstrap_servers, url))
        seconds = time.perf_counter() - start
        print(f"{read} events in {seconds:.1f} s: {read / seconds:.0f}/s")


if __name__ == "__main__":
    main()
