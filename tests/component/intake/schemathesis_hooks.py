"""Loaded by schemathesis: it does not know the media type of tus by itself."""

import schemathesis

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
