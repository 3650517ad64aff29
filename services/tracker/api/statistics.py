"""Dashboards: figures from the pre-aggregated statistics, as JSON or CSV; and what of them is public."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response

from services.tracker.api.access import Authorization, json, reader_of
from services.tracker.domain.access import Reader, Tokens
from services.tracker.domain.complaint import local_day
from services.tracker.domain.statistics import (
    COUNTERS,
    backlog,
    kaplan_meier,
    league,
    published,
    quantile,
    week_of,
)
from services.tracker.store.queries import Row, TrackerQueries
from shared.runtime.clock import Clock
from shared.runtime.problems import Problem

Dimension = Literal["all", "administration", "nature", "region", "province", "channel"]
Measure = Literal["forward", "answer"]
Form = Literal["json", "csv"]
Format = Annotated[Form, Query(alias="format")]

_YEAR = timedelta(days=364)
_PUBLIC_CACHE = "public, max-age=3600"
_PUBLIC_AFTER = timedelta(weeks=2)
_PUBLIC = ("administration", "nature", "region", "channel")


class _Span:
    """Weeks of receipt, both included; the last year where none are given."""

    def __init__(self, first: date | None, last: date | None, today: date) -> None:
        self.last = week_of(last or today)
        self.first = week_of(first or self.last - _YEAR)
        self.until = self.last + timedelta(days=6)
        """The last day of the last week."""


def make_statistics_router(queries: TrackerQueries, tokens: Tokens, clock: Clock) -> APIRouter:
    """Operations and auditors see every figure, an administration those of its own."""
    router = APIRouter()

    def today() -> date:
        return local_day(clock.now())

    def span_asked(
        first: Annotated[date | None, Query(alias="from")] = None,
        last: Annotated[date | None, Query(alias="to")] = None,
    ) -> _Span:
        return _Span(first, last, today())

    def allowed(authorization: str, dimension: Dimension, value: str | None) -> Reader:
        reader = reader_of(tokens, authorization)
        if reader.administration is not None and (dimension, value) != ("administration", reader.administration):
            raise Problem(403, "forbidden")
        return reader

    @router.get("/v1/statistics")
    async def weekly(
        span: Annotated[_Span, Depends(span_asked)],
        dimension: Dimension = "all",
        value: str = "",
        form: Format = "json",
        authorization: Authorization = "",
    ) -> Response:
        """The counters of one value by week of receipt."""
        allowed(authorization, dimension, value)
        rows = [dict(row) for row in await queries.weekly(dimension, value, span.first, span.last)]
        return _formed(form, "weeks", rows, ("week", *COUNTERS))

    @router.get("/v1/statistics/backlog")
    async def open_now(
        dimension: Dimension = "all",
        measure: Measure = "answer",
        value: str | None = None,
        form: Format = "json",
        authorization: Authorization = "",
    ) -> Response:
        """What waits for `measure` now, by age, of one value or of each."""
        allowed(authorization, dimension, value)
        rows = await queries.backlog(dimension, value, measure, today())
        found = backlog((row["value"], row["age"], row["number"], row["overdue"]) for row in rows)
        if form == "csv":
            flat = [{**{k: v for k, v in row.items() if k != "by_age"}, **row["by_age"]} for row in found]
            return _csv(flat, tuple(flat[0]) if flat else ("value",))
        return json({"backlog": found})

    @router.get("/v1/statistics/durations")
    async def durations(
        span: Annotated[_Span, Depends(span_asked)],
        dimension: Dimension = "all",
        value: str = "",
        measure: Measure = "answer",
        form: Format = "json",
        authorization: Authorization = "",
    ) -> Response:
        """Days from receipt to `measure` (Kaplan-Meier): who still waits counts for as long as they have waited."""
        allowed(authorization, dimension, value)
        lasted = await queries.lasted(dimension, value, measure, span.first, span.last)
        waiting = await queries.waiting(dimension, value, measure, span.first, span.until)
        ages = {max((today() - day).days, 0): number for day, number in waiting.items()}
        steps = kaplan_meier(lasted, ages)
        curve = [step._asdict() for step in steps]
        if form == "csv":
            return _csv(curve, ("days", "share", "low", "high", "at_risk"))
        quantiles = {str(share): quantile(steps, share) for share in (0.25, 0.5, 0.75, 0.9)}
        return json(
            {"done": sum(lasted.values()), "waiting": sum(ages.values()), "quantiles": quantiles, "curve": curve}
        )

    @router.get("/v1/statistics/league")
    async def table(
        span: Annotated[_Span, Depends(span_asked)],
        dimension: Dimension = "administration",
        measure: Measure = "answer",
        form: Format = "json",
        authorization: Authorization = "",
    ) -> Response:
        """Who keeps the deadline: share with its 95 % interval, shrunk share, and the ranks the intervals allow."""
        allowed(authorization, dimension, None)
        totals = await queries.by_value(dimension, span.first, span.last)
        overdue = await queries.overdue(dimension, measure, span.first, span.until, today())
        standings = league(_results(totals, overdue, measure))
        rows = [{**s._asdict(), "ranks": f"{s.ranks[0]}-{s.ranks[1]}"} for s in standings]
        return _formed(form, "league", rows, tuple(rows[0]) if rows else ("value",))

    @router.get("/v1/public/statistics")
    async def public(dimension: Dimension = "administration", form: Format = "json") -> Response:
        """For everybody: totals of a year of whole weeks, the last two left out; see `published` for the numbers."""
        if dimension not in ("all", *_PUBLIC):
            raise Problem(404, "not-found")
        last = week_of(today()) - _PUBLIC_AFTER
        rows = await queries.by_value(dimension, last - _YEAR, last)
        shown = ("received", "forwarded", "forwarded_on_time", "answered", "answered_on_time")
        columns = {name: published([row[name] for row in rows]) for name in shown}
        figures = [
            {"value": row["value"], **{name: columns[name][place] for name in shown}} for place, row in enumerate(rows)
        ]
        return _formed(form, dimension, figures, ("value", *shown), _PUBLIC_CACHE)

    return router


def _results(totals: Sequence[Row], overdue: Mapping[str, int], measure: Measure) -> dict[str, tuple[int, int]]:
    done, on_time = ("forwarded", "forwarded_on_time") if measure == "forward" else ("answered", "answered_on_time")
    return {row["value"]: (row[on_time], row[done] + overdue.get(row["value"], 0)) for row in totals if row["value"]}


def _formed(
    form: Form, name: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], cache: str = "no-store"
) -> Response:
    return _csv(rows, columns, cache) if form == "csv" else json({name: rows}, cache=cache)


def _csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], cache: str = "no-store") -> Response:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    return Response(text.getvalue(), headers={"cache-control": cache}, media_type="text/csv; charset=utf-8")
