"""The pages of the portal."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.portal.clients import IntakeClient, ServiceUnreachable, TrackerClient
from services.portal.domain import (
    LANGUAGES,
    TEXTS,
    FilingForm,
    FormErrors,
    PageLanguage,
    Refusal,
    credentials,
    form_errors,
    shown_date,
)
from shared.contracts.administrations import registry
from shared.runtime.languages import preferred_language

log = structlog.get_logger(__name__)

_HERE = Path(__file__).parent
_STYLE = (_HERE / "static" / "portal.css").read_bytes()
_MARK = (_HERE / "static" / "mark.svg").read_bytes()
_SECURITY = {
    "content-security-policy": "default-src 'none'; style-src 'self'; form-action 'self'; img-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_CACHED = {**_SECURITY, "cache-control": "public, max-age=86400"}
_PUBLIC = "public, max-age=300"
_PERSONAL = "no-store"


def make_router(intake: IntakeClient, tracker: TrackerClient) -> APIRouter:
    """`/`, and for each language the home, file and follow pages. A code never appears in a URL."""
    router = APIRouter(include_in_schema=False)
    pages = _Pages()

    @router.get("/")
    async def choose_language(request: Request) -> Response:
        spoken = preferred_language(request.headers.get("accept-language"))
        headers = {**_SECURITY, "vary": "accept-language", "cache-control": "no-cache"}
        return RedirectResponse("/ar" if spoken == "ar" else "/fr", 303, headers)

    @router.get("/static/portal.css")
    async def style() -> Response:
        return Response(_STYLE, headers=_CACHED, media_type="text/css")

    @router.get("/static/mark.svg")
    async def mark() -> Response:
        return Response(_MARK, headers=_CACHED, media_type="image/svg+xml")

    for language in LANGUAGES:
        _add_home(router, pages, language)
        _add_filing(router, pages, language, intake)
        _add_following(router, pages, language, tracker)
    return router


class _Pages:
    """Renders templates in a language."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._version = sha256(_STYLE).hexdigest()[:12]

    def show(
        self, template: str, language: PageLanguage, path: str, status: int = 200, cache: str = _PERSONAL, **values: Any
    ) -> Response:
        """The page; `path` is what follows the language in its URL."""
        html = self._templates.get_template(template).render(
            t=TEXTS[language],
            language=language,
            other="fr" if language == "ar" else "ar",
            path=path,
            version=self._version,
            date=lambda moment: shown_date(moment, language),
            **values,
        )
        return HTMLResponse(html, status, {**_SECURITY, "cache-control": cache, "content-language": language})


def _add_home(router: APIRouter, pages: _Pages, language: PageLanguage) -> None:
    @router.get(f"/{language}")
    async def home() -> Response:
        return pages.show("home.html", language, "", cache=_PUBLIC)


def _add_filing(router: APIRouter, pages: _Pages, language: PageLanguage, intake: IntakeClient) -> None:
    administrations = [(body.code, body.name(language)) for body in registry().values()]

    def form_page(form: FilingForm, errors: FormErrors, status: int = 200) -> Response:
        return pages.show(
            "file.html", language, "/file", status, form=form, errors=errors, administrations=administrations
        )

    @router.get(f"/{language}/file")
    async def empty_form() -> Response:
        return form_page(FilingForm(key=str(uuid4())), FormErrors())

    @router.post(f"/{language}/file")
    async def file(request: Request) -> Response:
        form = FilingForm.typed(await _posted(request), fresh_key=str(uuid4()))
        try:
            outcome = await intake.file(form.filing(language), form.key, language)
        except ServiceUnreachable as error:
            log.warning("intake_unreachable", reason=str(error))
            return form_page(form, FormErrors(general=(TEXTS[language].unreachable,)), 503)
        if isinstance(outcome, Refusal):
            return refused(form, outcome)
        return pages.show("filed.html", language, "/file", 201, receipt=outcome)

    def refused(form: FilingForm, refusal: Refusal) -> Response:
        if refusal.status == 422 and not refusal.errors:
            again = replace(form, key=str(uuid4()))
            return form_page(again, FormErrors(general=(TEXTS[language].already_sent,)), 422)
        return form_page(form, form_errors(refusal, form), refusal.status)


def _add_following(router: APIRouter, pages: _Pages, language: PageLanguage, tracker: TrackerClient) -> None:
    def form_page(reference: str, message: str | None, status: int = 200) -> Response:
        return pages.show("follow.html", language, "/follow", status, reference=reference, message=message)

    @router.get(f"/{language}/follow")
    async def empty_form() -> Response:
        return form_page("", None)

    @router.post(f"/{language}/follow")
    async def follow(request: Request) -> Response:
        typed = await _posted(request)
        reference = typed.get("reference", "")
        given = credentials(reference, typed.get("access_code", ""))
        try:
            complaint = await tracker.follow(*given) if given else None
        except ServiceUnreachable as error:
            log.warning("tracker_unreachable", reason=str(error))
            return form_page(reference, TEXTS[language].unreachable, 503)
        if complaint is None:
            return form_page(reference, TEXTS[language].not_found, 404)
        return pages.show("complaint.html", language, "/follow", complaint=complaint)


async def _posted(request: Request) -> Mapping[str, str]:
    """The text fields of a posted form; files are ignored."""
    async with request.form(max_files=0, max_fields=20) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}
