"""Renders pages, and makes every error on the portal's own routes one."""

from collections.abc import Callable, Coroutine
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog
from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import Message, Scope

from services.portal.domain import texts
from services.portal.domain.arabic import ARABIC
from services.portal.domain.french import FRENCH
from services.portal.domain.languages import (
    LANGUAGES,
    PageLanguage,
    local_day,
    other_language,
    written_day,
    written_moment,
)
from services.portal.domain.texts import Texts
from shared.runtime.languages import preferred_language

log = structlog.get_logger(__name__)

TEXTS: dict[PageLanguage, Texts] = {"ar": ARABIC, "fr": FRENCH}

STYLE = (Path(__file__).parent / "static" / "portal.css").read_bytes()
SECURITY = {
    "content-security-policy": "default-src 'none'; style-src 'self'; form-action 'self'; img-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
PUBLIC = "public, max-age=300"
_PERSONAL = "no-store"
_RUNTIME_PATHS = ("/health/", "/metrics")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Pages:
    """Renders templates in a language."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
        )
        self._templates.filters["curly"] = lambda name: name.replace("'", "’")
        self._templates.globals.update(day=local_day, examples=texts, version=sha256(STYLE).hexdigest()[:12])

    def show(
        self, template: str, language: PageLanguage, path: str, status: int = 200, cache: str = _PERSONAL, **values: Any
    ) -> Response:
        """The page; `path` is what follows the language in its URL."""
        html = self._templates.get_template(template).render(
            t=TEXTS[language],
            language=language,
            other=other_language(language),
            path=path,
            written_day=lambda moment: written_day(moment, language),
            written_moment=lambda moment: written_moment(moment, language),
            **values,
        )
        return HTMLResponse(html, status, {**SECURITY, "cache-control": cache, "content-language": language})

    def problem(self, request: Request, status: int) -> Response:
        """The page of an error, in the language of the address, else of the browser."""
        first = request.url.path.split("/")[1]
        language = next((one for one in LANGUAGES if one == first), spoken(request))
        problems = TEXTS[language].problems
        title, advice = problems.get(status) or problems[500 if status >= 500 else 400]
        page = self.show("problem.html", language, "", status, problem=title, advice=advice)
        page.headers["vary"] = "accept-language"
        return page


def spoken(request: Request) -> PageLanguage:
    """The page language the browser prefers."""
    return "ar" if preferred_language(request.headers.get("accept-language")) == "ar" else "fr"


def page_route(pages: Pages, maximum_body: int) -> type[APIRoute]:
    """The class of the portal's routes: what goes wrong on one, 413 included, answers with a page for people."""

    class PageRoute(APIRoute):
        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            if str(scope.get("path", "")).startswith(_RUNTIME_PATHS):
                return Match.NONE, {}
            return super().matches(scope)

        def get_route_handler(self) -> Handler:
            handler = super().get_route_handler()

            async def handle(request: Request) -> Response:
                try:
                    return await handler(_limited(request, maximum_body))
                except HTTPException as error:
                    page = pages.problem(request, error.status_code)
                    page.headers.update(error.headers or {})
                    return page
                except ClientDisconnect:
                    return pages.problem(request, 400)
                except Exception:
                    log.exception("page_failed", path=self.path)
                    return pages.problem(request, 500)

            return handle

    return PageRoute


def _limited(request: Request, maximum_body: int) -> Request:
    """The request; reading more of its body than allowed raises 413."""
    too_large = HTTPException(413, headers={"connection": "close"})
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > maximum_body:
        raise too_large
    read = 0

    async def receive() -> Message:
        nonlocal read
        message = await request.receive()
        read += len(message.get("body", b""))
        if read > maximum_body:
            raise too_large
        return message

    return Request(request.scope, receive)
