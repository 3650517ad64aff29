"""The rules of intake. Pure."""
