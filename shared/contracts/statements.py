"""Signed statements: who makes them, and the media types (`typ`) that tell them apart under the same keys."""

ISSUER = "https://chikaya.ma"

RECEIPT = "chikaya-receipt+jwt"
"""That a complaint was received."""

SILENCE = "chikaya-silence+jwt"
"""That a deadline passed without an answer."""
