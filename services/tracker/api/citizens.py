"""What citizens ask, by reference and access code: on the web, and in a short form to be spoken."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from orjson import loads

from services.tracker.api.access import AcceptLanguage, json
from services.tracker.domain.access import cost, wait
from services.tracker.domain.citizen import citizen_view, spoken_status
from services.tracker.domain.silence import silent_since, statement_of_silence
from services.tracker.domain.words import WORDS
from services.tracker.store.queries import Row, TrackerQueries
from services.tracker.store.staff import StaffRecords
from shared.contracts.reference import AccessCodes, parse_reference
from shared.contracts.statements import SILENCE
from shared.contracts.wording import Spoken
from shared.runtime.clock import Clock
from shared.runtime.languages import preferred_language
from shared.runtime.problems import Problem
from shared.runtime.signatures import Signer

AccessCode = Annotated[str, Header(alias="Access-Code", max_length=40)]


@dataclass(frozen=True, slots=True)
class Limits:
    """Wrong attempts an hour, for one reference and for one client; `frontends` are clients that are not counted."""

    per_reference: int
    per_client: int
    frontends: frozenset[str]


class Desk:
    """Lets a citizen see a complaint: a wrong reference and a wrong code cost the same work and answer alike.

    Failed attempts are counted in PostgreSQL, so the limits hold over all replicas.
    """

    def __init__(
        self, queries: TrackerQueries, records: StaffRecords, codes: AccessCodes, clock: Clock, limits: Limits
    ) -> None:
        self._queries = queries
        self._records = records
        self._codes = codes
        self._clock = clock
        self._limits = limits

    async def open(self, typed: str, code: str, client: str) -> dict[str, Any]:
        """The row of the complaint, with its timeline as `entries`. Raises the problems 404 and 429."""
        reference = parse_reference(typed) or ""
        keys = self._keys(reference, client)
        row = await self._queries.asked_for(reference, f"reference {reference}", f"client {client}")
        now = self._clock.now()
        if row is not None:
            seconds = max(wait(row["reference_spent_until"], now), wait(row["client_spent_until"], now))
            if seconds:
                raise Problem(429, "too-many-attempts", headers={"retry-after": str(seconds)})
        if row is None or not (self._matches(row, code) and row["asked_for"]):
            await self._records.failed({key: cost(per_hour) for key, per_hour in keys.items()}, now)
            raise Problem(404, "not-found")
        return {**row, "entries": loads(row["entries"] or "[]")}

    def _keys(self, reference: str, client: str) -> Mapping[str, int]:
        keys = {f"reference {reference}": self._limits.per_reference} if reference else {}
        if client not in self._limits.frontends:
            keys[f"client {client}"] = self._limits.per_client
        return keys

    def _matches(self, row: Row, typed: str) -> bool:
        return row["access_code_key"] in self._codes.keys and self._codes.matches(
            typed, row["complaint_id"], row["access_code_key"], row["access_code_issue"]
        )


def make_citizen_router(desk: Desk, clock: Clock, signer: Signer) -> APIRouter:
    """`GET /v1/complaints/{reference}`, its spoken form, and the statement of silence after a missed answer."""
    router = APIRouter()

    @router.get("/v1/complaints/{reference}/silence")
    async def silence(request: Request, reference: str, access_code: AccessCode = "") -> Response:
        """A dated, signed statement that the deadline passed without an answer, with the whole timeline.

        409 while there is an answer or time for one. It is a JWS (RFC 7515) under the keys that intake publishes.
        """
        row = await desk.open(reference, access_code, _client(request))
        now = clock.now()
        due = silent_since(row, now)
        if due is None:
            raise Problem(409, "not-possible-now")
        claims = statement_of_silence(row, row["entries"], due, now)
        return json({"statement": claims, "signed": signer.sign(SILENCE, claims)})

    @router.get("/v1/complaints/{reference}")
    async def follow(
        request: Request, reference: str, access_code: AccessCode = "", accept_language: AcceptLanguage = ""
    ) -> Response:
        """Where a complaint stands, in the words of Accept-Language (ar, fr, en)."""
        row = await desk.open(reference, access_code, _client(request))
        view = citizen_view(row, row["entries"], clock.now(), preferred_language(accept_language))
        return json(view)

    @router.get("/v1/phone/complaints/{reference}")
    async def spoken(
        request: Request, reference: str, access_code: AccessCode = "", accept_language: AcceptLanguage = ""
    ) -> Response:
        """The same as a short text for a voice, in Arabic or French; an error is a text too."""
        language: Spoken = "ar" if preferred_language(accept_language) == "ar" else "fr"
        try:
            row = await desk.open(reference, access_code, _client(request))
        except Problem as problem:
            if problem.status != 404:
                raise
            return _said(WORDS[language].unknown, language, 404)
        return _said(spoken_status(row, clock.now(), language), language)

    return router


def _client(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def _said(text: str, language: Spoken, status: int = 200) -> Response:
    headers = {"cache-control": "no-store", "content-language": language}
    return Response(text, status, headers, "text/plain; charset=utf-8")
