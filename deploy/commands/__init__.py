"""The commands of `./chikaya`, one file per group."""
