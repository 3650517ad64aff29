"""Who asks: staff by bearer token, and the parts of routes that every router of the tracker shares."""

from typing import Annotated, Any

import orjson
from fastapi import Header, Response

from services.tracker.domain.access import Reader, Role, Tokens
from shared.runtime.problems import Problem

Authorization = Annotated[str, Header()]
AcceptLanguage = Annotated[str, Header()]


def reader_of(tokens: Tokens, authorization: str, *roles: Role) -> Reader:
    """Whose token this is. Raises the problem 401, or 403 for one whose role is not among `roles`."""
    reader = tokens.reader(authorization)
    if reader is None:
        raise Problem(401, "unauthorized", headers={"www-authenticate": "Bearer"})
    if roles and reader.role not in roles:
        raise Problem(403, "forbidden")
    return reader


def json(body: Any, status: int = 200, cache: str = "no-store") -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(body, default=str), status, {"cache-control": cache}, "application/json")
