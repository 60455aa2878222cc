"""What tools log of a reply beside its text: why it ended, its tokens, how likely they were.

All of it is additional: what has another form than expected is not known, and nothing fails.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from rlfocal.records.checks import LOGPROB_SLACK
from rlfocal.records.importers.logged import Told
from rlfocal.records.schema import clean
from rlfocal.tokens import TokenLogprobs

__all__ = ["count_of", "finish_of", "tokens_of", "told_by_output"]

_ENDS = {
    "stop": "stop", "eos_token": "stop", "stop_sequence": "stop", "end_turn": "stop",
    "length": "length", "max_tokens": "length", "model_length": "length",
    "tool_calls": "tool_calls", "tool_use": "tool_calls", "function_call": "tool_calls",
}  # fmt: skip
_MOST = 2**53


def finish_of(reason: Any) -> str | None:
    """Why a reply ended, in the words of the column `finish`; None for other reasons.

    >>> finish_of("max_tokens"), finish_of("stop"), finish_of("content_filter"), finish_of(3)
    ('length', 'stop', None, None)
    """
    return _ENDS.get(reason) if isinstance(reason, str) else None


def count_of(value: Any) -> int | None:
    """A number of tokens, or of several turns and steps together; None where it is none.

    >>> count_of(7), count_of([[10, 20], [30]]), count_of(-1), count_of(True), count_of([1, None])
    (7, 60, None, None, None)
    """
    if isinstance(value, list):
        parts = [count_of(part) for part in value]
        known = [part for part in parts if part is not None]
        return sum(known) if parts and len(known) == len(parts) else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and 0 <= value < _MOST and value == int(value) else None


def tokens_of(items: Any, text: str) -> TokenLogprobs | None:
    """Tokens with their log-probabilities, from a list of objects.

    Args:
        items: the objects, each with `logprob`.
        text: what they call a token's text.

    Returns:
        None where some token has no text or no log-probability, and where all are 0: some tools
        write that where they do not know it.
    """
    if not isinstance(items, list) or not items:
        return None
    chars, logprobs = [], []
    for item in items:
        token = item.get(text) if isinstance(item, dict) else None
        value = item.get("logprob") if isinstance(item, dict) else None
        if not isinstance(token, str) or isinstance(value, bool):
            return None
        if not isinstance(value, int | float) or math.isnan(value) or value > LOGPROB_SLACK:
            return None
        chars.append(len(clean(token)))
        logprobs.append(min(float(value), 0.0))
    if not any(logprobs):
        return None
    return TokenLogprobs(np.array(chars, dtype=np.int32), np.array(logprobs, dtype=np.float32))


def told_by_output(output: Mapping[str, Any]) -> Told:
    """Of a model's output as inspect_ai and EvalScope write it, its first choice.

    Source: `ModelOutput`, `ChatCompletionChoice`, `Logprobs` of inspect_ai.
    """
    choices = output.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    choice = first if isinstance(first, dict) else {}
    usage = output.get("usage")
    used = usage if isinstance(usage, dict) else {}
    logprobs = choice.get("logprobs")
    return Told(
        finish=finish_of(choice.get("stop_reason")),
        n_prompt_tokens=count_of(used.get("input_tokens")),
        n_completion_tokens=count_of(used.get("output_tokens")),
        tokens=tokens_of(logprobs.get("content"), "token") if isinstance(logprobs, dict) else None,
    )
