"""The SQL of the notifier."""
