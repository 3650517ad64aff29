"""The pages of the portal."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from uuid import uuid4

import structlog
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from services.portal.clients import IntakeClient, ServiceUnreachable, TrackerClient
from services.portal.domain.complaints import credentials
from services.portal.domain.filing import FilingForm, FormErrors, Refusal, form_errors
from services.portal.domain.languages import LANGUAGES, PageLanguage
from services.portal.pages import PUBLIC, SECURITY, STYLE, TEXTS, Pages, page_route, spoken
from shared.contracts.administrations import Administration, registry

log = structlog.get_logger(__name__)

_MARK = (Path(__file__).parent / "static" / "mark.svg").read_bytes()
_CACHED = {**SECURITY, "cache-control": "public, max-age=86400"}
_READ = ["GET", "HEAD"]
_EVERY_METHOD = [*_READ, "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def make_router(intake: IntakeClient, tracker: TrackerClient, maximum_body: int) -> APIRouter:
    """`/`, and for each language the home, file and follow pages. A code never appears in a URL."""
    pages = Pages()
    router = APIRouter(include_in_schema=False, route_class=page_route(pages, maximum_body))

    @router.api_route("/", methods=_READ)
    async def choose_language(request: Request) -> Response:
        headers = {**SECURITY, "vary": "accept-language", "cache-control": "no-cache"}
        return RedirectResponse(f"/{spoken(request)}", 303, headers)

    @router.api_route("/static/portal.css", methods=_READ)
    async def style() -> Response:
        return Response(STYLE, headers=_CACHED, media_type="text/css")

    @router.api_route("/static/mark.svg", methods=_READ)
    async def mark() -> Response:
        return Response(_MARK, headers=_CACHED, media_type="image/svg+xml")

    for language in LANGUAGES:
        _add_home(router, pages, language)
        _add_filing(router, pages, language, intake)
        _add_following(router, pages, language, tracker)
    _add_the_rest(router)
    return router


def _add_home(router: APIRouter, pages: Pages, language: PageLanguage) -> None:
    @router.api_route(f"/{language}", methods=_READ)
    async def home() -> Response:
        return pages.show("home.html", language, "", cache=PUBLIC)


def _add_filing(router: APIRouter, pages: Pages, language: PageLanguage, intake: IntakeClient) -> None:
    t = TEXTS[language]

    def group_of(body: Administration) -> str:
        return t.administration_groups.get(body.kind, t.administration)

    administrations = [
        (heading, [(body.code, body.name(language)) for body in group])
        for heading, group in groupby(registry().values(), group_of)
    ]

    def form_page(form: FilingForm, errors: FormErrors, status: int = 200) -> Response:
        return pages.show(
            "file.html", language, "/file", status, form=form, errors=errors, administrations=administrations
        )

    @router.api_route(f"/{language}/file", methods=_READ)
    async def empty_form() -> Response:
        return form_page(FilingForm(key=str(uuid4())), FormErrors())

    @router.post(f"/{language}/file")
    async def file(request: Request) -> Response:
        form = FilingForm.typed(await _posted(request), fresh_key=str(uuid4()))
        try:
            outcome = await intake.file(form.filing(language), form.key, language)
        except ServiceUnreachable as error:
            log.warning("intake_unreachable", reason=str(error))
            return form_page(form, FormErrors(general=(t.unreachable_kept,)), 503)
        if isinstance(outcome, Refusal):
            return refused(form, outcome)
        return pages.show("filed.html", language, "/file", 201, receipt=outcome)

    def refused(form: FilingForm, refusal: Refusal) -> Response:
        if refusal.status == 422 and not refusal.errors:
            again = replace(form, key=str(uuid4()))
            return form_page(again, FormErrors(general=(t.already_sent,)), 422)
        return form_page(form, form_errors(refusal, form, t), refusal.status)


def _add_following(router: APIRouter, pages: Pages, language: PageLanguage, tracker: TrackerClient) -> None:
    t = TEXTS[language]

    def form_page(reference: str, status: int = 200, title: str = "", message: str = "") -> Response:
        return pages.show("follow.html", language, "/follow", status, reference=reference, title=title, message=message)

    @router.api_route(f"/{language}/follow", methods=_READ)
    async def empty_form() -> Response:
        return form_page("")

    @router.post(f"/{language}/follow")
    async def follow(request: Request) -> Response:
        typed = await _posted(request)
        reference = typed.get("reference", "")
        given = credentials(reference, typed.get("access_code", ""))
        try:
            complaint = await tracker.follow(*given) if given else None
        except ServiceUnreachable as error:
            log.warning("tracker_unreachable", reason=str(error))
            return form_page(reference, 503, message=t.unreachable)
        if complaint is None:
            return form_page(reference, 404, t.not_found_title, t.not_found)
        return pages.show("complaint.html", language, "/follow", complaint=complaint)


def _add_the_rest(router: APIRouter) -> None:
    allowed: dict[str, set[str]] = {}
    for route in router.routes:
        assert isinstance(route, APIRoute)
        allowed.setdefault(route.path, set()).update(route.methods or ())

    @router.api_route("/{path:path}", methods=_EVERY_METHOD)
    async def elsewhere(request: Request) -> Response:
        """405 on a path there is, with a slash too many the path without it, else 404."""
        path = request.url.path
        if path in allowed:
            raise HTTPException(405, headers={"allow": ", ".join(sorted(allowed[path]))})
        if path.rstrip("/") in allowed:
            return RedirectResponse(path.rstrip("/"), 308, SECURITY)
        raise HTTPException(404)


async def _posted(request: Request) -> Mapping[str, str]:
    """The text fields of a posted form; files are refused."""
    async with request.form(max_files=0, max_fields=20) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}
