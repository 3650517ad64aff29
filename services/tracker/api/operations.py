"""What staff ask: lists, one complaint, its state on a date, saved views, exports, conservation."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse

from services.tracker.api.access import Authorization, json, reader_of
from services.tracker.api.exports import Exports
from services.tracker.domain.access import Reader, Role, Tokens
from services.tracker.domain.complaint import named
from services.tracker.domain.history import state_as_of
from services.tracker.domain.listing import LONGEST_PAGE, Cursor, Filter
from services.tracker.store.queries import Row, TrackerQueries
from services.tracker.store.staff import StaffRecords
from services.tracker.upkeep import SETTLED
from shared.contracts.reference import parse_reference
from shared.runtime.clock import Clock
from shared.runtime.problems import Problem

_VIEW_NAME = r"^[\w .-]{1,64}$"


class Paging(Filter):
    """A filter as query parameters, with a place to go on and, instead of conditions, the name of a saved view."""

    after: str | None = None
    limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = 50
    view: str | None = None


def make_operations_router(
    queries: TrackerQueries, records: StaffRecords, exports: Exports, tokens: Tokens, clock: Clock
) -> APIRouter:
    """Operations and auditors see all; an administration sees the complaints it holds."""
    router = APIRouter()
    everybody = (Role.OPERATIONS, Role.AUDITOR)

    async def condition(asked: Filter, view: str | None, reader: Reader) -> Filter:
        """The filter that holds: of a saved view where one is named, and an administration's own only."""
        conditions = asked.model_dump(include=set(Filter.model_fields))
        if view is not None:
            saved = await records.view(reader.name, view)
            if saved is None:
                raise Problem(404, "not-found")
            conditions |= saved
        if reader.administration is not None:
            conditions["administration"] = reader.administration
        return Filter.model_validate(conditions)

    async def seen(reader: Reader, reference: str) -> Row:
        canonical = parse_reference(reference)
        row = await queries.by_reference(canonical) if canonical else None
        if row is None or reader.administration not in (None, row["administration"]):
            raise Problem(404, "not-found")
        return row

    @router.get("/v1/complaints")
    async def page(asked: Annotated[Paging, Query()], authorization: Authorization = "") -> Response:
        """A page of what the filter selects, with the cursor of the next."""
        reader = reader_of(tokens, authorization)
        wanted = await condition(asked, asked.view, reader)
        now = clock.now()
        rows, ordered_by = await queries.page(wanted, now, _cursor(asked.after), asked.limit)
        if wanted.q is not None:
            await records.was_read(now, reader.name, "search", asked=wanted.q)
        following = None
        if len(rows) == asked.limit:
            following = Cursor(rows[-1][ordered_by], rows[-1]["complaint_id"]).text()
        return json({"complaints": [dict(row) for row in rows], "next": following})

    @router.get("/v1/exports/complaints.{form}")
    async def export(form: str, asked: Annotated[Paging, Query()], authorization: Authorization = "") -> Response:
        """All that the filter selects, as `csv` or `parquet`; `after` and `limit` do not count."""
        reader = reader_of(tokens, authorization)
        if form not in ("csv", "parquet"):
            raise Problem(404, "not-found")
        wanted = await condition(asked, asked.view, reader)
        described = wanted.model_dump_json(exclude_defaults=True)
        await records.was_read(clock.now(), reader.name, f"export-{form}", asked=described)
        headers = {"content-disposition": f'attachment; filename="complaints.{form}"', "cache-control": "no-store"}
        if form == "csv":
            return StreamingResponse(exports.csv(wanted), headers=headers, media_type="text/csv; charset=utf-8")
        body = exports.parquet(wanted)
        return StreamingResponse(body, headers=headers, media_type="application/vnd.apache.parquet")

    @router.get("/v1/staff/complaints/{reference}")
    async def one(reference: str, as_of: datetime | None = None, authorization: Authorization = "") -> Response:
        """One complaint with its timeline; with `as_of`, its state at that instant. Leaves an audit row."""
        reader = reader_of(tokens, authorization)
        row = await seen(reader, reference)
        if as_of is not None and as_of.tzinfo is None:
            raise Problem(400, "invalid-request", [("as_of", "invalid", {})])
        entries = await queries.timeline(row["complaint_id"])
        now = clock.now()
        action = "read" if as_of is None else "read-as-of"
        await records.was_read(now, reader.name, action, row["complaint_id"], None if as_of is None else str(as_of))
        if as_of is None:
            return json(_whole(row, entries))
        state = state_as_of([dict(entry) for entry in entries], as_of)
        if state is None:
            raise Problem(404, "not-found")
        return json({"reference": row["reference"], "received_at": row["received_at"], **state})

    @router.get("/v1/staff/complaints/{reference}/reads")
    async def reads(reference: str, authorization: Authorization = "") -> Response:
        """Who of staff read about a complaint. For auditors."""
        row = await seen(reader_of(tokens, authorization, Role.AUDITOR), reference)
        return json({"reads": [dict(read) for read in await records.reads_of(row["complaint_id"])]})

    @router.get("/v1/views")
    async def views(authorization: Authorization = "") -> Response:
        """The reader's saved views."""
        reader = reader_of(tokens, authorization)
        return json({"views": [dict(row) for row in await records.views(reader.name)]})

    @router.put("/v1/views/{name}", status_code=204)
    async def save_view(
        name: Annotated[str, Path(pattern=_VIEW_NAME)], view: Filter, authorization: Authorization = ""
    ) -> Response:
        """Keeps a filter under a name; `view=name` in a list or an export then stands for it."""
        reader = reader_of(tokens, authorization)
        await records.save_view(reader.name, name, view.model_dump(mode="json", exclude_defaults=True))
        return Response(status_code=204)

    @router.delete("/v1/views/{name}", status_code=204)
    async def drop_view(name: str, authorization: Authorization = "") -> Response:
        """Forgets a saved view."""
        await records.drop_view(reader_of(tokens, authorization).name, name)
        return Response(status_code=204)

    @router.get("/v1/conservation")
    async def conservation(authorization: Authorization = "") -> Response:
        """Whether every accepted complaint has exactly one state, and which have none."""
        reader_of(tokens, authorization, *everybody)
        states, accepted, gap = await queries.conservation(clock.now() - SETTLED)
        whole = not gap and sum(states.values()) == accepted
        return json({"conserved": whole, "accepted": accepted, "states": states, "gap": gap})

    return router


def _whole(row: Row, entries: list[Row]) -> dict[str, Any]:
    hidden = ("access_code_key", "access_code_issue")
    shown = {name: value for name, value in row.items() if name not in hidden}
    shown |= {name: named(row[name]) for name in ("administration", "on_behalf_of")}
    return {**shown, "timeline": [dict(entry) for entry in entries]}


def _cursor(text: str | None) -> Cursor | None:
    if text is None:
        return None
    try:
        return Cursor.parse(text)
    except ValueError:
        raise Problem(400, "invalid-request", [("after", "invalid", {})]) from None
