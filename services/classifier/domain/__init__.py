"""The rules of the classifier. Pure."""
