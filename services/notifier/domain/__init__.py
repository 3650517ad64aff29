"""The rules of telling people. Pure."""
