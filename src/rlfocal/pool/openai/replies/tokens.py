"""Log-probabilities of all tokens of a reply, in the shapes that servers give them.

Two shapes: one item a token (OpenAI's chat API, and llama.cpp always), or lists side by side
(OpenAI's and vLLM's completions). How many characters a token has is not always to be seen from its
text: half of a character reads as a mark, and what was thought before the reply, or ends it, stands
among its tokens, too.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlfocal.pool.openai.replies.logprobs import IMPOSSIBLE, logprob_of, token_of
from rlfocal.tokens import TokenLogprobs

__all__ = ["joined", "n_alternatives", "token_logprobs"]

_BYTES = re.compile(r"bytes:((?:\\x[0-9a-fA-F]{2})+)")
"""How OpenAI's completions write a token that is no text."""


def token_logprobs(found: Any, text: str) -> TokenLogprobs | None:
    """Log-probabilities of the tokens of a text.

    Args:
        found: what a choice of a reply says of log-probabilities.
        text: of the reply; what its tokens hold beside it is left out, where it is found there.

    Returns:
        None where no log-probability is given.

    >>> found = token_logprobs({"tokens": ["So", " 4"], "token_logprobs": [-0.5, -1.0]}, "So 4")
    >>> found.chars.tolist(), found.logprob.tolist()
    ([2, 2], [-0.5, -1.0])
    """
    items, tokens, values = _listed(found)
    logprob = _numbers(values)
    if not len(logprob) or np.isnan(logprob).all():
        return None
    if set(map(type, tokens)) == {str} and "".join(tokens) == text:
        chars, whole = list(map(len, tokens)), text
    else:
        raw = _raw(items) if items else [_as_bytes(token) for token in tokens]
        chars, whole = _decoded(raw)
    found_tokens = TokenLogprobs(np.array(chars, dtype=np.int32), logprob)
    if whole == text and chars[-1]:
        return found_tokens
    at = whole.rfind(text) if text else -1
    return found_tokens if at < 0 else found_tokens.within(at, at + len(text))


def n_alternatives(found: Any) -> int:
    """How many likely tokens are told beside the first one that came."""
    items = _items(found)
    first = items[0] if items and isinstance(items[0], Mapping) else {}
    tops = first.get("top_logprobs")
    return len(tops) if isinstance(tops, list | Mapping) else 0


def joined(before: Any, more: Any) -> Any:
    """What pieces of a reply said of log-probabilities, and what another one says.

    Args:
        before: of the pieces so far; changed in place where it can be.
        more: of the next piece.
    """
    if isinstance(before, list) and isinstance(more, list):
        before += more
    elif isinstance(before, dict) and isinstance(more, dict):
        for name, value in more.items():
            so_far = before.get(name)
            before[name] = joined(so_far, value) if so_far else value
    return before


def _listed(found: Any) -> tuple[list[Any], Sequence[Any], Sequence[Any]]:
    """Items, where there are any; tokens; and as many log-probabilities."""
    if items := _items(found):
        try:
            return items, [i["token"] for i in items], [i["logprob"] for i in items]
        except (KeyError, TypeError):
            told = [logprob_of(i) if isinstance(i, Mapping) else None for i in items]
            return items, [token_of(item) for item in items], told
    if not isinstance(found, Mapping):
        return [], [], []
    tokens, values = found.get("tokens"), found.get("token_logprobs")
    if not (isinstance(tokens, list) and isinstance(values, list)) or len(tokens) != len(values):
        return [], [], []
    return [], tokens, values


def _items(found: Any) -> list[Any]:
    items = found.get("content") if isinstance(found, Mapping) else found
    return items if isinstance(items, list) else []


def _numbers(values: Sequence[Any]) -> NDArray[np.float32]:
    """float32[K]: at most 0; NaN for what is no log-probability."""
    are_plain = set(map(type, values)) == {float}
    number = np.array(values if are_plain else [_number(v) for v in values], dtype=np.float64)
    # Rounding makes a sure token's a little more than nothing.
    known = (number > IMPOSSIBLE) & (number < 1.0)
    return np.where(known, np.minimum(number, 0.0), np.nan).astype(np.float32)


def _number(value: Any) -> float:
    is_number = type(value) in (int, float) and IMPOSSIBLE < value < 1
    return float(value) if is_number else np.nan


def _raw(items: Sequence[Any]) -> list[bytes]:
    """Bytes of each token."""
    found = []
    for item in items:
        raw = item.get("bytes") if isinstance(item, Mapping) else None
        try:
            found.append(bytes(raw) if isinstance(raw, list) else _as_bytes(token_of(item)))
        except (TypeError, ValueError):
            found.append(_as_bytes(token_of(item)))
    return found


def _as_bytes(token: Any) -> bytes:
    """Bytes of a token that is given as text."""
    if not isinstance(token, str):
        return b""
    if match := _BYTES.fullmatch(token):
        return bytes.fromhex(match[1].replace("\\x", ""))
    return token.encode("utf-8", "replace")


def _decoded(raw: Sequence[bytes]) -> tuple[list[int], str]:
    """Characters of each token, a character counting where it ends; and all of them."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    texts = [decoder.decode(part) for part in raw]
    texts[-1] += decoder.decode(b"", final=True)
    return [len(text) for text in texts], "".join(texts)
