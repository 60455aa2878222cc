"""What other people call the columns of a data set: a wrong name is answered with the right one.

Knows names alone: whether a column's values fit is seen by who reads them.

>>> meant_by("Is Correct"), meant_by("modelName"), meant_by("lable"), meant_by("colour")
('score', 'member', 'label', None)
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping

__all__ = ["SYNONYMS", "UNITS", "is_pairwise", "latency_unit", "meant_by", "spelled"]

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "query_id": (
        "qid", "question_id", "id", "prompt_id", "example_id", "sample_id", "item_id", "doc_id",
        "instance_id", "problem_id", "task_id", "idx", "index", "uid", "uuid", "key",
    ),
    "prompt": (
        "question", "query", "input", "instruction", "problem", "user_prompt", "input_text",
        "question_text", "prompt_text", "user_input", "user_query", "messages",
    ),
    "task": (
        "dataset", "benchmark", "subject", "task_name", "eval_name", "dataset_name", "category",
        "subset", "subtask", "domain",
    ),
    "split": ("fold", "partition", "subset_split"),
    "tools": ("functions", "function", "available_tools"),
    "choices": ("options", "answer_choices", "multiple_choice", "answer_options"),
    "label": (
        "gold", "target", "reference", "ground_truth", "groundtruth", "correct_answer",
        "right_answer", "answer_key", "gold_answer", "gold_label", "expected", "expected_answer",
        "expected_output", "reference_answer", "true_answer", "correct_option", "gt", "truth",
        "ideal", "golden_answer", "target_answer",
    ),
    "member": (
        "model", "llm", "system", "model_name", "llm_name", "model_id", "engine", "candidate_model",
        "generator", "llm_selected", "llm_id", "assistant", "member_name",
    ),
    "answer": (
        "prediction", "predicted", "pred", "extracted_answer", "parsed_answer", "model_answer",
        "predicted_answer", "final_answer", "extracted", "model_prediction", "parsed_prediction",
    ),
    "text": (
        "response", "output", "completion", "reply", "generation", "model_output", "raw_output",
        "raw_response", "generated_text", "model_response", "full_response", "generated_answer",
        "model_completion", "raw_answer", "raw_reply", "response_text", "output_text",
        "result_text", "actual_output", "actual", "llm_output", "llm_response", "model_reply",
        "predicted_text", "prediction_text", "ai_response", "bot_response",
    ),
    "score": (
        "correct", "is_correct", "acc", "accuracy", "correctness", "exact_match", "em", "passed",
        "pass", "success", "is_right", "right", "grade", "graded", "reward", "performance",
        "judge_score", "eval_score", "judgement", "judgment", "evaluation", "eval",
    ),
    "cost_usd": (
        "cost", "price", "total_cost", "usd", "cost_in_usd", "price_usd", "inference_cost",
        "cost_dollars", "total_cost_usd",
    ),
    "latency_s": (
        "latency", "time", "duration", "elapsed", "response_time", "runtime", "wall_time",
        "total_time", "elapsed_time", "inference_time",
    ),
    "samples": ("generations", "completions", "responses", "outputs", "all_answers", "replies"),
    "choice_scores": ("logprobs", "option_scores", "loglikelihoods", "log_likelihoods"),
    "finish": ("finish_reason", "stop_reason", "finished"),
    "n_prompt_tokens": (
        "prompt_tokens", "input_tokens", "num_prompt_tokens", "num_input_tokens", "tokens_in",
        "input_token_count", "prompt_token_count",
    ),
    "n_completion_tokens": (
        "completion_tokens", "output_tokens", "num_completion_tokens", "num_output_tokens",
        "tokens_out", "output_token_count", "completion_token_count", "generated_tokens",
    ),
    "response_chars": ("chars", "n_chars", "num_chars", "length"),
}  # fmt: skip
"""Column → what else it is called, most telling first, in the spelling of `spelled`."""

_ROLE_OF = {
    name: role for role, names in reversed(list(SYNONYMS.items())) for name in (role, *names)
}
_VERDICTS = {
    "winner", "winner_model", "preference", "preferred", "chosen", "verdict", "vote", "judgment",
    "judgement", "winner_tie", "winner_model_a", "better",
}  # fmt: skip
UNITS: Mapping[str, float] = {
    "ms": 1e-3, "msec": 1e-3, "msecs": 1e-3, "millis": 1e-3, "milliseconds": 1e-3,
    "millisecond": 1e-3, "us": 1e-6, "ns": 1e-9, "s": 1.0, "sec": 1.0, "secs": 1.0,
    "seconds": 1.0, "second": 1.0, "min": 60.0, "mins": 60.0, "minutes": 60.0,
}  # fmt: skip
"""Unit of time → how many seconds it is."""


def spelled(name: str) -> str:
    """Write a column's name in small letters with underscores.

    >>> spelled(" Model Name"), spelled("modelName"), spelled("Latency (ms)")
    ('model_name', 'model_name', 'latency_ms')
    """
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[^\w$%]+", "_", split).strip("_").lower()


def is_pairwise(names: Collection[str]) -> bool:
    """Whether these are the columns of a table that compares two models in each row.

    >>> is_pairwise(["model_a", "model_b", "winner"]), is_pairwise(["q", "model_1", "model_2"])
    (True, False)
    """
    own = {spelled(name) for name in names}
    for one, other in (("_a", "_b"), ("_1", "_2"), ("1", "2"), ("_left", "_right")):
        if {f"model{one}", f"model{other}"} <= own:
            return bool(own & _VERDICTS) or f"response{one}" in own
    return False


def latency_unit(name: str) -> float | None:
    """Seconds in the unit that ends a latency column's name; None where it names none.

    >>> latency_unit("latency_ms"), latency_unit("latency")
    (0.001, None)
    """
    return UNITS.get(spelled(name).rpartition("_")[2])


def meant_by(
    name: str, wanted: Collection[str] | None = None, *, misspelt: bool = True
) -> str | None:
    """Say which column is probably meant by a name: a synonym, else one letter away.

    Args:
        name: as somebody wrote it.
        wanted: columns that may be meant; None for all.
        misspelt: also take names that are one letter away.

    Returns:
        A key of `SYNONYMS`, or None.
    """
    own = spelled(name)
    roles = set(SYNONYMS) if wanted is None else set(wanted)
    for candidate in (own, own.removesuffix("s"), _without_unit(own)):
        if _ROLE_OF.get(candidate) in roles:
            return _ROLE_OF[candidate]
    if not misspelt or len(own) < 4:
        return None
    known = [n for n, role in _ROLE_OF.items() if role in roles and len(n) >= 4]
    close = difflib.get_close_matches(own, known, n=1, cutoff=0.8)
    return _ROLE_OF[close[0]] if close else None


def _without_unit(name: str) -> str:
    head, _, unit = name.rpartition("_")
    return head if unit in UNITS and _ROLE_OF.get(head) == "latency_s" else name
