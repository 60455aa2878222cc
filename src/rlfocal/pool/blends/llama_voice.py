"""A GGUF file as a voice: llama.cpp in this process, asked for one next token at a time.

Its cache keeps the text that was asked about last, so a token that is appended is the only one
read; whoever goes back to an earlier place pays for what follows it alone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import aiohttp

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.asking.turns import as_one_text
from rlfocal.pool.blends.voices import END, ContextFull, Proposal
from rlfocal.pool.endpoints import LlamaCppSettings
from rlfocal.pool.llama_cpp import LlamaServer
from rlfocal.pool.types import Request

__all__ = ["N_NAMED", "LlamaVoice"]

N_NAMED = 100
"""Next tokens that are asked for. Blends of the likeliest 20, 100 and 1,000 were the same text."""
_ENDS = (
    "<|im_end|>", "<|endoftext|>", "<end_of_turn>", "<|eot_id|>", "<|end_of_text|>", "<|end|>",
    "<|eom_id|>", "<eos>", "</s>", "<|return|>", "<|END_OF_TURN_TOKEN|>", "<EOT>",
)  # fmt: skip
"""Tokens that end a reply, in the words of the models that have them."""
_SHORT = 64
"""Bytes of a piece whose spelling is kept."""
_PLAIN = "a"
"""A whole character that every model has a token for."""
_CERTAIN = 1000.0
"""Nats by which a token is favoured so that it is the one that is drawn."""
_IDLE_S = 2.0
"""A connection that was idle for longer is opened anew: the server closes them after five."""
_STARTING_S = 30.0
"""In its first seconds a server may refuse to tokenise."""


class LlamaVoice:
    """One model, loaded when it is opened; use it as an asynchronous context.

    Args:
        name: as messages call it.
        settings: which file, and how it is run.
    """

    def __init__(self, name: str, settings: LlamaCppSettings) -> None:
        # One text stands in its cache, so more room than for one would lie idle.
        self.name, self._settings = name, settings.model_copy(update={"concurrency": 1})
        self.in_turns = settings.api == "chat"
        self._server = LlamaServer(self._settings)
        self._session: aiohttp.ClientSession | None = None
        self._ends: frozenset[int] = frozenset()
        self._drawn = 0
        self._spelled: dict[bytes, list[int]] = {}

    async def __aenter__(self) -> Self:
        """Load the model, and ask which tokens end a reply.

        Raises:
            ConfigError: the file is missing, not what it should be, or cannot be loaded.
            MemberError: it does not reply.
        """
        await asyncio.to_thread(self._server.load)
        self._session = aiohttp.ClientSession(
            self._server.address,
            connector=aiohttp.TCPConnector(keepalive_timeout=_IDLE_S),
            headers={"Authorization": f"Bearer {self._server.key}"},
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout_s),
        )
        try:
            await self._wait_until_ready()
            props = await self._called("GET", "/props")
            found = set[int]()
            for text in {*_ENDS, str(props.get("eos_token") or "")} - {""}:
                special = await self._tokens(text, parse_special=True)
                if len(special) == 1 and special != await self._tokens(text):
                    found.add(special[0][0])
            self._ends = frozenset(found)
            self._drawn = (await self._tokens(_PLAIN))[-1][0]
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Give the memory back."""
        await self.close()

    async def close(self) -> None:
        """Give the memory back."""
        if self._session is not None:
            await self._session.close()
        self._session = None
        self._server.close()

    async def begin(self, request: Request) -> list[int]:
        """The tokens of a prompt, in the model's own chat template where it is asked in turns."""
        if self._settings.api == "chat":
            turns = [message.as_json() for message in request.messages]
            found = await self._called("POST", "/apply-template", {"messages": turns})
            tokens = await self._tokens(
                str(found.get("prompt", "")), add_special=True, parse_special=True
            )
        else:
            tokens = await self._tokens(as_one_text(request.messages), add_special=True)
        # Without a beginning of its own a model has to be told something.
        return [n for n, _ in tokens] or [min(self._ends)]

    async def propose(self, ids: Sequence[int]) -> Proposal:
        """What it would go on with after these tokens."""
        body = {
            "prompt": list(ids), "n_predict": 1, "n_probs": N_NAMED, "temperature": 0.0,
            "cache_prompt": True, "id_slot": 0,
            # Where the token that is drawn is a part of a character, llama.cpp tells of none. So
            # always the same whole one is drawn; what is told of all is as it was.
            "logit_bias": [[self._drawn, _CERTAIN]],
        }  # fmt: skip
        found = await self._called("POST", "/completion", body)
        try:
            likely = found["completion_probabilities"][0]["top_logprobs"]
            named = [(int(t["id"]), bytes(t["bytes"]), math.exp(t["logprob"])) for t in likely]
            n_evaluated = int(found["timings"]["prompt_n"])
        except (LookupError, TypeError, ValueError) as exc:
            raise self._malformed("no next tokens") from exc
        pieces: dict[bytes, float] = {}
        own: dict[bytes, int] = {}
        for number, piece, p in named:
            if number in self._ends:
                pieces[END] = pieces.get(END, 0.0) + p
            elif piece:  # a token of control that ends nothing cannot be written
                pieces[piece] = pieces.get(piece, 0.0) + p
                own.setdefault(piece, number)
        if not pieces:
            raise self._malformed("next tokens that cannot be written")
        rest = max(0.0, 1.0 - sum(pieces.values()))
        return Proposal(pieces, own, rest, min(p for _, _, p in named), n_evaluated)

    async def spell(self, piece: bytes) -> list[int]:
        """Its tokens for these bytes; what looks like a token of control is spelled as text."""
        known = self._spelled.get(piece)
        if known is None:
            try:
                text = piece.decode()
            except UnicodeDecodeError as exc:
                raise self._unspelled(f"{len(piece)} bytes that are no characters") from exc
            found = await self._tokens(text)
            if b"".join(part for _, part in found) != piece:
                raise self._unspelled(f"these {len(piece)} bytes as they are")
            known = [n for n, _ in found]
            if len(piece) <= _SHORT:
                self._spelled[piece] = known
        return list(known)

    async def _tokens(
        self, text: str, *, add_special: bool = False, parse_special: bool = False
    ) -> list[tuple[int, bytes]]:
        body = {
            "content": text, "add_special": add_special, "parse_special": parse_special,
            "with_pieces": True,
        }  # fmt: skip
        found = await self._called("POST", "/tokenize", body)
        try:
            return [(int(token["id"]), _as_bytes(token["piece"])) for token in found["tokens"]]
        except (LookupError, TypeError, ValueError) as exc:
            raise self._malformed("no tokens") from exc

    async def _wait_until_ready(self) -> None:
        deadline = asyncio.get_running_loop().time() + _STARTING_S
        while True:
            try:
                await self._tokens("a")
                return
            except MemberError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.05)

    async def _called(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        if self._session is None:
            raise RuntimeError("open the voice first: async with voice: ...")
        try:
            try:
                status, found = await self._sent(self._session, method, path, body)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                # Closed just then, on a busy machine; what is asked may be asked again.
                status, found = await self._sent(self._session, method, path, body)
        except TimeoutError as exc:
            raise MemberError(
                f"'{self.name}': no reply in {self._settings.timeout_s:g} s; raise timeout_s",
                failure=Failure.TIMEOUT,
            ) from exc
        except aiohttp.ClientError as exc:
            raise MemberError(
                f"'{self.name}': llama.cpp broke off: {type(exc).__name__}",
                failure=Failure.UNREACHABLE,
            ) from exc
        except ValueError as exc:
            raise self._malformed("no JSON") from exc
        if status != 200 or not isinstance(found, dict):
            raise self._refused(found, status)
        return found

    @staticmethod
    async def _sent(
        session: aiohttp.ClientSession, method: str, path: str, body: Mapping[str, Any] | None
    ) -> tuple[int, Any]:
        async with session.request(method, path, json=body) as reply:
            return reply.status, await reply.json(content_type=None)

    def _refused(self, found: Any, status: int) -> MemberError:
        error = found.get("error") if isinstance(found, dict) else None
        kind = error.get("type") if isinstance(error, dict) else None
        if isinstance(error, dict) and kind == "exceed_context_size_error":
            return ContextFull(
                f"'{self.name}': prompt and reply have {error.get('n_prompt_tokens')} tokens, more "
                f"than n_context = {self._settings.n_context}; raise it, or lower max_tokens",
                failure=Failure.BAD_REQUEST, status=status,
            )  # fmt: skip
        failure = Failure.BAD_REQUEST if status < 500 else Failure.SERVER_ERROR
        return MemberError(
            f"'{self.name}': llama.cpp refused ({status}, {kind or 'no reason'})",
            failure=failure, status=status,
        )  # fmt: skip

    def _malformed(self, what: str) -> MemberError:
        return MemberError(f"'{self.name}': llama.cpp gave {what}", failure=Failure.MALFORMED)

    def _unspelled(self, what: str) -> MemberError:
        return MemberError(
            f"'{self.name}': its tokenizer has no tokens for {what}; it cannot write with others",
            failure=Failure.BAD_REQUEST,
        )


def _as_bytes(piece: object) -> bytes:
    """A piece as llama.cpp tells it: as text, or as numbers where it is no whole characters."""
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, list):
        return bytes(piece)
    raise TypeError(f"a piece is a {type(piece).__name__}")
