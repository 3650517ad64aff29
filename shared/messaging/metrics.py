"""What the messaging heart reports to Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

RECORDS = Counter("chikaya_inbox_records_total", "Records by outcome.", ["consumer", "outcome"])
BATCH_SECONDS = Histogram("chikaya_inbox_batch_seconds", "Time to handle and commit one batch.", ["consumer"])
HELD = Gauge("chikaya_inbox_held_records", "Records held or waiting behind one: alert when not 0.", ["consumer"])
STOPPED = Gauge("chikaya_inbox_stopped_partitions", "Partitions stopped with an error: alert.", ["consumer"])
RELAYED = Counter("chikaya_relay_records_total", "Records acknowledged by Kafka.", ["service"])
SET_ASIDE = Gauge("chikaya_relay_partitions_set_aside", "Partitions that do not acknowledge: alert.", ["service"])
LEADING = Gauge("chikaya_relay_leading", "1 on the instance that relays.", ["service"])
RECOVERED = Counter(
    "chikaya_recovered_events_total", "Events restored from Kafka after a database restore.", ["service"]
)
