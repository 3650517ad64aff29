"""The rules of the dispatcher. Pure."""
