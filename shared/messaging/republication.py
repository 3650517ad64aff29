"""After Kafka was lost for good: publish a service's whole journal to a new, empty cluster.

Sequences stay as they were, so readers drop by `last_sequence` what they handled from the old cluster, and handle
what they had not read of it. What administrations had written and nobody had read is lost with the old cluster.
"""

import asyncpg

_RESET = (
    "UPDATE relay_positions SET position = 0, kafka_offset = -1",
    "UPDATE inbox_positions SET next_offset = 0",
    "DELETE FROM store_identity",
)


async def forget_cluster(url: str) -> None:
    """Makes one service's relay and consumers begin at the beginning of whatever cluster they meet next.

    The service must not be running. `url` is its database.
    """
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            for statement in _RESET:
                await connection.execute(statement)
    finally:
        await connection.close()
