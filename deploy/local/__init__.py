"""The embedded stack: a real Kafka and a real PostgreSQL, with no Docker and no system Java."""
