"""A blend as an endpoint: to everything above, one model like any other."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from rlfocal.errors import Failure, MemberError
from rlfocal.plugins import user_function
from rlfocal.pool.blends.blend import write
from rlfocal.pool.blends.llama_voice import LlamaVoice
from rlfocal.pool.blends.policy import read_policy
from rlfocal.pool.blends.spans import Spans
from rlfocal.pool.blends.switching import Reward, Switching, Worth
from rlfocal.pool.blends.voices import ContextFull, Voice
from rlfocal.pool.blends.weighing import ByConfidence, Fixed, Weighed
from rlfocal.pool.blends.writing import Method
from rlfocal.pool.endpoints import BlendSettings
from rlfocal.pool.types import Message, Request, Response

__all__ = ["BlendEndpoint", "method_of", "verifier"]

_log = logging.getLogger(__name__)
_SPAN = 8
"""Tokens of a span that others judge, unless it is said."""
_IS_IT_RIGHT = "{prompt}\n\nAn answer to this:\n{text}\n\nIs this answer right? Say yes or no."


class BlendEndpoint:
    """Several models in memory; loaded when it is opened, so that a bad file is known early.

    Args:
        settings: which files, and how they write together; with its files.
        folder: where a module of the user's may lie that is not installed.
    """

    def __init__(self, settings: BlendSettings, *, folder: Path | None = None) -> None:
        self._settings, self._folder = settings, folder
        self._open = AsyncExitStack()
        self._voices: list[LlamaVoice] = []
        self._method: Method | None = None

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        if self._method is None:
            raise RuntimeError("open the endpoint first: async with endpoint: ...")
        _refuse_what_is_not_taken(request)
        try:
            async with asyncio.timeout(timeout_s):
                found = await write(request, self._voices, self._method)
        except TimeoutError as exc:
            raise MemberError(
                f"the blend gave no reply in {timeout_s:g} s; raise timeout_s, or lower max_tokens",
                failure=Failure.TIMEOUT,
            ) from exc
        if not found.response.text.strip() and not request.n_logprobs:
            raise MemberError("the blend gave a reply without text", failure=Failure.EMPTY)
        counts = found.counts
        _log.debug(
            "a blend of %d read %d tokens for %d, of which %d might have been others",
            len(self._voices), counts.n_evaluated, found.response.n_completion_tokens or 0,
            counts.n_uncertain,
        )  # fmt: skip
        return found.response

    async def close(self) -> None:
        """Give the memory back."""
        await self._open.aclose()
        self._voices, self._method = [], None

    async def __aenter__(self) -> Self:
        """Load the models, all or none.

        Raises:
            ConfigError: a file is missing, not what it should be, or cannot be loaded; the policy
                cannot be read, or is of other models; the reward is no function.
            MemberError: llama.cpp does not reply.
        """
        settings = self._settings
        async with AsyncExitStack() as opened:
            by_name = {
                name: await opened.enter_async_context(LlamaVoice(name, part))
                for name, part in settings.files.items()
            }
            self._method = method_of(
                settings,
                None if settings.verifier is None else by_name[settings.verifier],
                folder=self._folder,
            )
            self._voices = [by_name[name] for name in settings.parts]
            self._open = opened.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close it."""
        await self.close()


def method_of(
    settings: BlendSettings, judge: Voice | None = None, *, folder: Path | None = None
) -> Method:
    """How what comes next is decided.

    Args:
        settings: of the blend.
        judge: who says whether replies are right, where the reward is "verify:ENDPOINT".
        folder: where a module of the user's may lie that is not installed.

    Raises:
        ConfigError: the policy cannot be read, or is of other models; the reward is no function.
    """
    weights, n_models = settings.weights, len(settings.parts)
    if weights == "spans":
        return Spans(span=settings.span or _SPAN)
    if weights == "values":
        reward = _called(settings, folder) if judge is None else verifier(judge)
        return Switching(
            reward, n_candidates=settings.candidates, span=settings.span or 1,
            horizon=settings.horizon, kl=settings.kl,
        )  # fmt: skip
    if weights == "policy":
        assert settings.policy is not None
        models = [settings.files[name].path.name for name in settings.parts]
        policy = read_policy(settings.policy, models=models)
        return Weighed(policy, span=policy.span)
    span = settings.span or 1
    if weights == "confidence":
        return Weighed(ByConfidence(settings.sharpness), span=span)
    fixed = weights if isinstance(weights, tuple) else (1.0,) * n_models
    return Weighed(Fixed(fixed), span=span)


def verifier(judge: Voice) -> Reward:
    """How likely a model finds it that a reply is right: yes against no, as the first token."""

    async def reward(prompt: str, text: str) -> Worth:
        asked = _IS_IT_RIGHT.format(prompt=prompt, text=text)
        said = {"yes": 0.0, "no": 0.0}
        try:
            found = await judge.propose(await judge.begin(Request((Message("user", asked),))))
        except ContextFull as exc:  # no end of the reply: the models have room
            raise MemberError(
                f"the judge cannot read question and reply: {exc}", failure=Failure.BAD_REQUEST
            ) from exc
        for piece, p in found.pieces.items():
            word = piece.decode("utf-8", "replace").strip().lower()
            if word in said:
                said[word] += p
        total = sum(said.values())
        return Worth(said["yes"] / total if total else 0.5, found.n_evaluated)

    return reward


def _called(settings: BlendSettings, folder: Path | None) -> Reward:
    function = user_function(settings.reward, what="endpoints: reward", folder=folder)

    failed: set[str] = set()

    async def reward(prompt: str, text: str) -> Worth:
        try:
            value = float(await asyncio.to_thread(function, prompt, text))
        except Exception as exc:  # whatever a user's own code may raise
            if not failed:
                failed.add(type(exc).__name__)
                _log.warning(
                    "reward %s raised %s: such texts are worth nothing, and this is said once",
                    settings.reward, type(exc).__name__,
                )  # fmt: skip
            value = math.nan
        return Worth(value if math.isfinite(value) else -math.inf)

    return reward


def _refuse_what_is_not_taken(request: Request) -> None:
    fields: Sequence[str] = sorted(request.extra)
    if any(message.parts for message in request.messages):
        fields = ["images"]
    if fields:
        raise MemberError(
            f"a blend takes no {', '.join(fields)}: it writes plain text; leave that out",
            failure=Failure.BAD_REQUEST,
        )
