"""Running Chikaya: on one machine, in containers, in a cluster."""
