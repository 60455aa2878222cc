"""The dashboard's routes: pages and their files for all, figures for administrators.

The pages hold no data. Figures are computed in a thread, once for all who look within a moment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from importlib.resources import files
from string import Template
from typing import Any

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from rlfocal.deliberation.trace import Trace
from rlfocal.gateway.dashboard.figures import WINDOWS, figures
from rlfocal.gateway.dashboard.frontier import frontier
from rlfocal.gateway.dashboard.history import History
from rlfocal.gateway.dashboard.timeline import Timeline
from rlfocal.gateway.dashboard.traffic import traffic
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.gateway import Gateway
from rlfocal.gateway.http import Handler, JsonResponse
from rlfocal.gateway.read_after_write import until_written
from rlfocal.gateway.store.rows import FeedbackRow, RequestRow
from rlfocal.gateway.store.schema import feedback

__all__ = ["Dashboard"]

_FRESH_S = 1.0
_TRAFFIC_FRESH_S = 5.0
_FRONTIER_FRESH_S = 20.0
"""It takes a second of computing."""
_MORE_S = 120.0
"""After its deadline, until a request is surely in the log."""
_KINDS = {"css": "text/css", "js": "text/javascript"}
_SHARED = {"page.css", "page.html"}

Figures = dict[str, Any]


class Dashboard:
    """Handlers of one gateway.

    Args:
        gateway: that is shown.
        admit: raises unless a request comes from an administrator.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        gateway: Gateway,
        admit: Callable[[Request], Awaitable[object]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._gateway, self._admit, self._clock = gateway, admit, clock
        self._history = History(gateway.store)
        self._timeline = Timeline(final_s=gateway.settings.most_deadline_s + _MORE_S)
        self._kept: dict[str, tuple[float, Figures]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    @property
    def routes(self) -> Mapping[str, tuple[Handler, str]]:
        """Path → handler and method."""
        return {
            "/": (partial(_page, "index"), "GET"),
            "/requests/{id}": (partial(_page, "request"), "GET"),
            "/dashboard/assets/{name}": (_asset, "GET"),
            "/dashboard/figures": (self.figures, "GET"),
            "/dashboard/traffic": (self.traffic, "GET"),
            "/dashboard/frontier": (self.frontier, "GET"),
            "/dashboard/requests/{id}": (self.request, "GET"),
        }

    async def figures(self, request: Request) -> Response:
        """Figures of the front page."""
        await self._admit(request)
        window = _window_of(request)
        return JsonResponse(await self._fresh(window, _FRESH_S, partial(self._figures, window)))

    async def traffic(self, request: Request) -> Response:
        """Requests and latency over time, and what each key has spent."""
        await self._admit(request)
        window = _window_of(request)
        name, work = f"traffic {window}", partial(self._traffic, window)
        return JsonResponse(await self._fresh(name, _TRAFFIC_FRESH_S, work))

    async def frontier(self, request: Request) -> Response:
        """Figures of other prices: in training, as served, and replayed."""
        await self._admit(request)
        return JsonResponse(await self._fresh("frontier", _FRONTIER_FRESH_S, self._frontier))

    async def request(self, request: Request) -> Response:
        """One request with its trace."""
        await self._admit(request)
        look = partial(asyncio.to_thread, self._request, request.path_params["id"])
        found = await until_written(look)
        if isinstance(found, ApiError):
            raise found
        return JsonResponse(found)

    async def _fresh(self, name: str, fresh_s: float, work: Callable[[], Any]) -> Figures:
        """Figures that are not older than that."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            at, found = self._kept.get(name, (0.0, {}))
            if not found or time.monotonic() - at > fresh_s:
                found = await work()
                self._kept[name] = time.monotonic(), found
            return found

    async def _figures(self, window: str) -> Figures:
        gateway, at = self._gateway, self._clock()

        def work() -> Figures:
            return figures(self._history.read(), gateway, at, window, kept=self._history.n)

        return await asyncio.to_thread(work)

    async def _traffic(self, window: str) -> Figures:
        work = partial(traffic, self._gateway, self._timeline, self._clock(), window)
        return await asyncio.to_thread(work, span_s=WINDOWS[window])

    async def _frontier(self) -> Figures:
        gateway = self._gateway
        checkpoint, policy, strategy = (
            gateway.checkpoint,
            gateway.policies.id,
            gateway.recent.strategy,
        )

        def work() -> Figures:
            return frontier(gateway.store, self._history.read(), checkpoint, strategy, policy)

        return await asyncio.to_thread(work)

    def _request(self, request_id: str) -> Figures | ApiError:
        store = self._gateway.store
        with store.connections.read() as connection:
            row = store.log.request(connection, request_id)
            wanted = sa.select(feedback).where(feedback.c.request_id == request_id)
            judged = connection.execute(wanted).mappings().one_or_none()
        if row is None:
            return ApiError(404, "request_not_found", "no request of that id", param="id")
        return _request_figures(row, None if judged is None else FeedbackRow(**judged))


def _window_of(request: Request) -> str:
    window = request.query_params.get("window", "1h")
    if window not in WINDOWS:
        known = ", ".join(WINDOWS)
        raise ApiError(400, "invalid_value", f"window: one of {known}", param="window")
    return window


# One request ------------------------------------------------------------------------------------


def _request_figures(request: RequestRow, judged: FeedbackRow | None) -> dict[str, Any]:
    """Plain values; texts are there only as far as they are kept."""
    return {
        "id": request.id,
        "key_id": request.key_id,
        "at": request.created_at,
        "model": request.model,
        "task": request.task,
        "policy": request.policy,
        "status": request.status,
        "error": request.error,
        "streamed": request.streamed,
        "latency_s": request.latency_s,
        "overhead_s": request.own_s,
        "n_calls": request.n_calls,
        "n_rounds": request.n_rounds,
        "usd": request.usd,
        "uncertain_cost_usd": request.unsettled_usd,
        "n_unpriced": request.n_unpriced,
        "n_prompt_tokens": request.n_prompt_tokens,
        "n_completion_tokens": request.n_completion_tokens,
        "confidence": request.confidence,
        "prompt": request.prompt,
        "trace": None if request.trace is None else _trace(request.trace),
        "feedback": None if judged is None else _judgement(judged),
    }


def _trace(found: Mapping[str, Any]) -> dict[str, Any]:
    """By today's names; a request that was settled by hand has a note in its place."""
    return Trace.of_json(found).as_json() if "rounds" in found else dict(found)


def _judgement(row: FeedbackRow) -> dict[str, Any]:
    return {
        "at": row.created_at,
        "score": row.score,
        "answer": row.answer,
        "earned": row.earned,
        "member_scores": dict(row.member_scores),
    }


# Pages and their files ---------------------------------------------------------------------------


_PAGES = {
    "index": ("rlfocal gateway", "front.js"),
    "request": ("A request · rlfocal gateway", "request.js"),
}
"""Page → its title and its script."""
_TROUBLE = '<p id="trouble" class="trouble" role="alert" hidden></p>'


@cache
def _read(name: str) -> str:
    """A file of the dashboard, or one that every page of the package begins with."""
    folder = files("rlfocal") if name in _SHARED else files(__package__) / "assets"
    return (folder / name).read_text(encoding="utf-8")


@cache
def _names() -> frozenset[str]:
    return frozenset({file.name for file in (files(__package__) / "assets").iterdir()} | _SHARED)


async def _page(name: str, _: Request) -> Response:
    title, script = _PAGES[name]
    styles = [
        f'<link rel="stylesheet" href="/dashboard/assets/{style}.css">'
        for style in ("page", "base", "parts")
    ]
    own = f'<script type="module" src="/dashboard/assets/{script}"></script>'
    body = Template(_read(f"{name}.html")).substitute(door=_read("door.html"))
    page = Template(_read("page.html")).substitute(
        title=title, head="\n".join([*styles, own]), body=body + _TROUBLE
    )
    return Response(page, media_type="text/html")


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    kind = _KINDS.get(name.rpartition(".")[2])
    if kind is None or name not in _names():
        raise ApiError(404, "not_found", "no such file")
    return Response(_read(name), media_type=kind)
