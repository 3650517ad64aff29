"""Composition root of the portal: the pages where people file a complaint and follow it."""

from collections.abc import Sequence

import httpx
from fastapi import APIRouter

from services.portal.api import make_router
from services.portal.clients import TIMEOUT, IntakeClient, TrackerClient
from services.portal.settings import PortalSettings
from shared.runtime.service import run_web


def main() -> None:
    """Runs the portal until it is told to stop."""
    settings = PortalSettings()

    def build() -> Sequence[APIRouter]:
        intake = httpx.AsyncClient(base_url=settings.intake_url, timeout=TIMEOUT)
        tracker = httpx.AsyncClient(base_url=settings.tracker_url, timeout=TIMEOUT)
        return [make_router(IntakeClient(intake), TrackerClient(tracker))]

    run_web("portal", settings, build)


if __name__ == "__main__":
    main()
