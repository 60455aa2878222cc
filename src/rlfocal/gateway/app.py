"""The routes, and the application that a server runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rlfocal.gateway.chat import answering, count_tokens
from rlfocal.gateway.dashboard.routes import Dashboard
from rlfocal.gateway.door.guard import Guard
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.feedback import judged, read_judgement
from rlfocal.gateway.gateway import Gateway
from rlfocal.gateway.http import JsonResponse, Straight, as_api_error, error_response, route
from rlfocal.gateway.read_after_write import until_written
from rlfocal.gateway.store.keys import Key
from rlfocal.gateway.store.rows import FeedbackRow, RequestRow
from rlfocal.gateway.wire.dialects.chat import Chat
from rlfocal.gateway.wire.dialects.completions import Completions
from rlfocal.gateway.wire.dialects.dialect import Dialect
from rlfocal.gateway.wire.dialects.messages import Messages
from rlfocal.gateway.wire.dialects.responses import Responses
from rlfocal.gateway.wire.models import ENSEMBLE, who_is_asked
from rlfocal.gateway.wire.openapi import describe
from rlfocal.pool.servers import OpenAISettings

__all__ = ["build_app"]

_FORGET_S = 60.0
"""How often what is remembered of replies is looked through for what is too old."""


def build_app(gateway: Gateway, *, open_door: bool = False) -> Starlette:
    """Make the application.

    Args:
        gateway: not yet open; it is opened and closed with the application.
        open_door: whether it is meant for its own machine alone, without keys.
    """
    routes = {
        "/v1/models": (list_models, "GET"),
        "/v1/models/{name:path}": (show_model, "GET"),
        "/v1/feedback": (take_feedback, "POST"),
        "/healthz": (healthz, "GET"),
        "/readyz": (readyz, "GET"),
        "/metrics": (metrics, "GET"),
        "/openapi.json": (openapi, "GET"),
        **Dashboard(gateway, partial(gateway.door.key_of, admin=True)).routes,
    }
    responses = Responses()
    dialects: dict[str, Dialect] = {
        "/v1/chat/completions": Chat(),
        "/v1/completions": Completions(),
        "/v1/responses": responses,
        "/v1/messages": Messages(),
    }
    secrets = _secrets(gateway)
    asked = {
        path: route(answering(dialect), secrets, dialect.error)
        for path, dialect in dialects.items()
    }
    counting = route(count_tokens, secrets, dialects["/v1/messages"].error)
    asked["/v1/messages/count_tokens"] = counting

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with gateway:
            forgetting = asyncio.create_task(
                _forgetting(gateway.records.forget_old, responses.forget_old)
            )
            try:
                # So that the server's connections know of each other.
                yield {"connections": gateway.connections}
            finally:
                forgetting.cancel()

    async def refuse(request: Request, exc: Exception) -> Response:
        error = as_api_error(exc) or ApiError(500, "internal_error", "a fault")
        # Who asks beside a dialect's paths, or in another manner, reads that dialect's errors.
        path = request.url.path
        near = [one for at, one in dialects.items() if f"{path}/".startswith(f"{at}/")]
        return error_response(error, near[0].error if near else ApiError.as_json)

    app = Starlette(
        routes=[
            Route(path, route(handler, secrets), methods=[method])
            for path, (handler, method) in routes.items()
        ]
        + [
            # For who asks in another manner: all else goes straight to them.
            Route(path, handler, methods=["POST"])
            for path, handler in asked.items()
        ],
        middleware=[
            Middleware(Guard, loopback_only=open_door, is_leaving=lambda: gateway.is_leaving),
            Middleware(Straight, handlers=asked),
        ],
        exception_handlers={HTTPException: refuse},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.gateway = gateway
    return app


async def _forgetting(*works: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(_FORGET_S)
        for work in works:
            work()


def _secrets(gateway: Gateway) -> tuple[str, ...]:
    """Keys of members, so that no log shows them."""
    served = gateway.pool_settings.endpoints.values()
    keys = [s.key() for s in served if isinstance(s, OpenAISettings)]
    return tuple(key for key in keys if key)


async def list_models(request: Request) -> Response:
    """All names that can be asked for."""
    gateway: Gateway = request.app.state.gateway
    await gateway.door.key_of(request)
    names = [ENSEMBLE, *gateway.member_names]
    return JsonResponse({"object": "list", "data": [_model(gateway, name) for name in names]})


async def show_model(request: Request) -> Response:
    """One model."""
    gateway: Gateway = request.app.state.gateway
    await gateway.door.key_of(request)
    name = request.path_params["name"]
    try:
        who_is_asked(name, gateway.member_names)  # "rlfocal:0.02" can be, too
    except ApiError:
        raise ApiError(404, "model_not_found", "no model of that name; see /v1/models") from None
    return JsonResponse(_model(gateway, name))


def _model(gateway: Gateway, name: str) -> dict[str, Any]:
    owner = "member" if name in gateway.member_names else "rlfocal"
    found: dict[str, Any] = {
        "id": name, "object": "model", "created": int(gateway.started_at), "owned_by": owner,
    }  # fmt: skip
    # Who asks a member that reads others pays for those, too.
    reading = gateway.reading_of(name)
    return found if reading is None else found | {"rlfocal": reading}


async def take_feedback(request: Request) -> Response:
    """Judge an answer; what is acknowledged is written."""
    gateway: Gateway = request.app.state.gateway
    key = await gateway.door.key_of(request)
    judgement = read_judgement(await gateway.door.take_body(request, key))
    log = gateway.store.log

    def take(connection: sa.Connection) -> FeedbackRow | ApiError:
        found = log.request(connection, judgement.id)
        if found is None or not _may_judge(key, found):
            return ApiError(404, "request_not_found", "no request of that id", param="id")
        try:
            row = judged(found, judgement, now=time.time())
        except ApiError as exc:
            return exc
        log.put_feedback(connection, row)
        return row

    row = await until_written(partial(gateway.writer.do, take))
    if isinstance(row, ApiError):
        raise row
    gateway.metrics.feedback.inc()
    gateway.recent.poke()
    return JsonResponse(
        {"id": row.request_id, "earned": row.earned, "members": dict(row.member_scores)}
    )


def _may_judge(key: Key, request: RequestRow) -> bool:
    return key.admin or (request.key_id is not None and request.key_id == key.id)


async def healthz(request: Request) -> Response:
    """That the process is there."""
    return JsonResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Whether a request could be answered: 503 where not."""
    gateway: Gateway = request.app.state.gateway
    ready = await gateway.is_ready()
    status = "leaving" if gateway.is_leaving else "ready" if ready else "not ready"
    return JsonResponse({"status": status}, 200 if ready else 503)


async def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    gateway: Gateway = request.app.state.gateway
    await gateway.door.key_of(request, admin=True)
    kind = "text/plain; version=0.0.4; charset=utf-8"
    return PlainTextResponse(gateway.metrics.text(), media_type=kind)


async def openapi(request: Request) -> Response:
    """What can be asked, for programs."""
    return JsonResponse(describe())
