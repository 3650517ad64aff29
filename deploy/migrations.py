"""Brings the databases of all services to the newest schema."""

from collections.abc import Mapping

from shared.database.migrations import migrate


def migrate_all(urls: Mapping[str, str]) -> None:
    """Migrates each service's database; `urls` maps a service's name to its postgresql:// URL."""
    for service, url in urls.items():
        migrate(url, service)
