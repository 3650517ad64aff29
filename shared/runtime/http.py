"""Serving HTTP: health, metrics, body limit, problem documents, and uvicorn without its own signal handling."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.runtime.languages import preferred_language
from shared.runtime.problems import Problem, install_problem_handlers, problem_response
from shared.runtime.settings import HttpSettings


@dataclass(slots=True)
class Health:
    """What `/health/ready` answers: 200 while `ready`."""

    ready: bool = False


def make_app(service: str, settings: HttpSettings, health: Health, routers: Sequence[APIRouter]) -> FastAPI:
    """The service's application: its routes, `/health/live`, `/health/ready`, `/metrics`."""
    app = FastAPI(title=f"Chikaya {service}", docs_url=None, redoc_url=None)
    install_problem_handlers(app)
    app.add_middleware(_BodyLimit, limit=settings.maximum_body)
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
                h11_max_incomplete_event_size=32_768,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _BodyTooLarge(Exception):
    pass


class _BodyLimit:
    """Answers 413 to a body over the limit, declared or streamed, without reading the rest of it."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        declared = request.headers.get("content-length", "")
        started = False
        read = 0

        async def limited_receive() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit:
                raise _BodyTooLarge
            return message

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if declared.isdigit() and int(declared) > self._limit:
                raise _BodyTooLarge
            await self._app(scope, limited_receive, watched_send)
        except _BodyTooLarge:
            if not started:
                language = preferred_language(request.headers.get("accept-language"))
                problem = Problem(413, "body-too-large", headers={"connection": "close"})
                await problem_response(problem, language)(scope, receive, send)
