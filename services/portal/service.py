"""Composition root of the portal: the pages where people file a complaint and follow it."""

import asyncio
import sys
from collections.abc import Sequence

import httpx
from fastapi import APIRouter

from services.portal.api import make_router
from services.portal.clients import TIMEOUT, IntakeClient, TrackerClient
from services.portal.settings import PortalSettings
from shared.runtime.client_credentials import BearerToken, ClientCredentials
from shared.runtime.service import run_web


def main() -> None:
    """Runs the portal until it is told to stop."""
    settings = PortalSettings()
    closing: list[asyncio.Task[None]] = []

    def build() -> Sequence[APIRouter]:
        intake = httpx.AsyncClient(base_url=settings.intake_url, timeout=TIMEOUT, auth=_credentials(settings))
        tracker = httpx.AsyncClient(base_url=settings.tracker_url, timeout=TIMEOUT)
        closing.append(asyncio.create_task(_close_at_the_end(intake, tracker)))
        return [make_router(IntakeClient(intake), TrackerClient(tracker), settings.maximum_body)]

    # The pages limit bodies themselves: a form that is too large answers with a page, not a problem document.
    run_web("portal", settings.model_copy(update={"maximum_body": sys.maxsize}), build)


def _credentials(settings: PortalSettings) -> httpx.Auth | None:
    if settings.token_url and settings.client_secret:
        return ClientCredentials(settings.token_url, settings.client_id, settings.client_secret.get_secret_value())
    return BearerToken(settings.api_key.get_secret_value()) if settings.api_key else None


async def _close_at_the_end(*clients: httpx.AsyncClient) -> None:
    """Closes the clients when the event loop, ending, cancels what still runs."""
    try:
        await asyncio.Event().wait()
    finally:
        for client in clients:
            await client.aclose()


if __name__ == "__main__":
    main()
