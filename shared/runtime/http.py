"""Serving HTTP: health, metrics, body limit, problem documents, and uvicorn without its own signal handling."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.runtime.bounded_http import BoundedHttpProtocol
from shared.runtime.languages import preferred_language
from shared.runtime.problems import Problem, install_problem_handlers, problem_response
from shared.runtime.settings import HttpSettings


@dataclass(slots=True)
class Health:
    """What `/health/ready` answers: 200 while `ready`."""

    ready: bool = False


def make_app(
    service: str,
    settings: HttpSettings,
    health: Health,
    routers: Sequence[APIRouter],
    body_limits: Mapping[str, int] | None = None,
) -> FastAPI:
    """The service's application: its routes, `/health/live`, `/health/ready`, `/metrics`.

    `body_limits` gives paths by their beginning another limit than `settings.maximum_body`.
    """
    app = FastAPI(title=f"Chikaya {service}", docs_url=None, redoc_url=None)
    install_problem_handlers(app, [route for router in routers for route in router.routes])
    app.add_middleware(_BodyLimit, limit=settings.maximum_body, others=body_limits or {})
    for router in routers:
        app.include_router(router)

    @app.get("/health/live", include_in_schema=False)
    async def live() -> Response:
        return Response(status_code=200)

    @app.get("/health/ready", include_in_schema=False)
    async def ready() -> Response:
        return Response(status_code=200 if health.ready else 503)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


class HttpServer(uvicorn.Server):
    """uvicorn, stopped by its owner; signals belong to the runtime."""

    def __init__(self, app: FastAPI, settings: HttpSettings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.http_host,
                port=settings.http_port,
                access_log=False,
                log_config=None,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=5,
                http=BoundedHttpProtocol,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _BodyTooLarge(Exception):
    pass


class _BodyTooSlow(Exception):
    pass


_BODY_SECONDS = 20.0
_SLOWEST_BODY = 2_048
"""A body must come within 20 s and another second for every 2,048 bytes of it."""


class _BodyLimit:
    """Answers 413 to a body over the limit, declared or streamed, and 408 to one that dribbles in, not reading on."""

    def __init__(self, app: ASGIApp, limit: int, others: Mapping[str, int]) -> None:
        self._app = app
        self._limit = limit
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        declared = request.headers.get("content-length", "")
        limit = next((most for path, most in self._others.items() if scope["path"].startswith(path)), self._limit)
        started = False
        read = 0
        whole = False
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def limited_receive() -> Message:
            nonlocal read, whole
            if whole:
                return await receive()
            try:
                async with asyncio.timeout_at(began + _BODY_SECONDS + read / _SLOWEST_BODY):
                    message = await receive()
            except TimeoutError:
                raise _BodyTooSlow from None
            read += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if read > limit:
                raise _BodyTooLarge
            return message

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if declared.isdigit() and int(declared) > limit:
                raise _BodyTooLarge
            await self._app(scope, limited_receive, watched_send)
        except (_BodyTooLarge, _BodyTooSlow) as error:
            if not started:
                language = preferred_language(request.headers.get("accept-language"))
                status, kind = (413, "body-too-large") if isinstance(error, _BodyTooLarge) else (408, "request-timeout")
                problem = Problem(status, kind, headers={"connection": "close"})
                await problem_response(problem, language)(scope, receive, send)
