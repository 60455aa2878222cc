"""What a server complains about is of the right kind and in its words, whatever shape it has."""

from __future__ import annotations

from typing import Any

import pytest
from asking import fails
from habits import END, Script, json_reply, reply

from rlfocal.errors import Failure


def error_in(found: Any, status: str = "200 OK", **headers: str) -> Script:
    return json_reply(found, status, **headers)


F = Failure
SAID_WRONG: dict[str, tuple[Script, Failure, str]] = {
    "a code as a number": (
        error_in({"error": {"code": 429, "message": "busy"}}),
        F.RATE_LIMITED,
        "busy",
    ),
    "a code in digits": (
        error_in({"error": {"code": "503", "message": "down"}}),
        F.SERVER_ERROR,
        "down",
    ),
    "a type alone": (
        error_in({"type": "error", "error": {"type": "overloaded_error"}}),
        F.SERVER_ERROR,
        "overloaded",
    ),
    "a wrong key": (
        error_in({"error": {"type": "authentication_error", "message": "no"}}),
        F.UNAUTHORISED,
        "no",
    ),
    "a string": (error_in("The model is overloaded"), F.SERVER_ERROR, "overloaded"),
    "words alone": (error_in({"error": "Rate limit reached for m"}), F.RATE_LIMITED, "Rate limit"),
    "an error of the choice": (
        error_in(
            {"choices": [{"error": {"code": 502, "message": "gone"}, "finish_reason": "error"}]}
        ),
        F.SERVER_ERROR,
        "gone",
    ),
    "an error beside a choice": (
        error_in(
            {
                "error": {"code": 502, "message": "gone"},
                "choices": [{"delta": {"content": ""}, "finish_reason": "error"}],
            }
        ),
        F.SERVER_ERROR,
        "gone",
    ),
    "a list of errors": (
        error_in({"success": False, "errors": [{"code": 3040, "message": "Capacity exceeded"}]}),
        F.SERVER_ERROR,
        "Capacity",
    ),
    "a status of its own": (
        error_in({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}),
        F.OUT_OF_CREDIT,
        "insufficient balance",
    ),
    "a prompt that is too long": (
        error_in({"error": {"message": "maximum context length is 4096 tokens"}}),
        F.BAD_REQUEST,
        "context length",
    ),
    "a filter in a choice": (error_in(reply(None, "SAFETY")), F.FILTERED, "content filter"),
    "a filter of the prompt": (
        error_in(
            {
                "choices": [],
                "prompt_filter_results": [{"content_filter_results": {"hate": {"filtered": True}}}],
            }
        ),
        F.FILTERED,
        "content filter",
    ),
    "an aborted reply": (error_in(reply("It is", "abort")), F.SERVER_ERROR, "abort"),
    "detail in words": (
        error_in({"detail": "Model is overloaded"}, "503 Busy"),
        F.SERVER_ERROR,
        "Model is overloaded",
    ),
    "detail by place": (
        error_in(
            {"detail": [{"loc": ["body", "messages"], "msg": "field required", "type": "x"}]},
            "422 No",
        ),
        F.BAD_REQUEST,
        "body.messages: field required",
    ),
    "detail in a message": (
        error_in(
            {"object": "error", "message": {"detail": [{"loc": ["body"], "msg": "no"}]}}, "422 No"
        ),
        F.BAD_REQUEST,
        "body: no",
    ),
    "an OAuth error": (
        error_in({"error": "invalid_token", "error_description": "The token expired"}, "401 No"),
        F.UNAUTHORISED,
        "The token expired",
    ),
    "a list around it": (
        error_in(
            [
                {
                    "error": {
                        "code": 400,
                        "message": "API key not valid. Please pass a valid API key.",
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ],
            "400 No",
        ),
        F.UNAUTHORISED,
        "not valid",
    ),
    "plain words": (
        error_in(b"upstream connect error", "502 Bad", kind="text/plain"),
        F.SERVER_ERROR,
        "upstream connect error",
    ),
    "a page": (
        error_in(b"<html><head><title>504 Gateway Time-out</title>", "504 No", kind="text/html"),
        F.SERVER_ERROR,
        "504 Gateway Time-out",
    ),
    "nothing": (error_in(b"", "500 No"), F.SERVER_ERROR, "HTTP status 500"),
    "no money, 402": (
        error_in({"error": {"message": "Insufficient Balance"}}, "402 Pay"),
        F.OUT_OF_CREDIT,
        "Insufficient Balance",
    ),
    "no money, 400": (
        error_in(
            {"error": {"message": "Your credit balance is too low to access the API"}}, "400 No"
        ),
        F.OUT_OF_CREDIT,
        "credit balance",
    ),
    "no money, 403": (
        error_in({"code": "Arrearage", "message": "Access denied"}, "403 No"),
        F.OUT_OF_CREDIT,
        "Access denied",
    ),
    "no money, 429": (
        error_in(
            {"error": {"type": "exceeded_current_quota_error", "message": "suspended"}}, "429 No"
        ),
        F.OUT_OF_CREDIT,
        "suspended",
    ),
    "a limit that sounds like money": (
        error_in(
            [
                {
                    "error": {
                        "code": 429,
                        "status": "RESOURCE_EXHAUSTED",
                        "message": "You exceeded your current quota, check your plan and billing.",
                        "details": [{"@type": "x/google.rpc.RetryInfo", "retryDelay": "34s"}],
                    }
                }
            ],
            "429 No",
        ),
        F.RATE_LIMITED,
        "asks to wait 34 s",
    ),
    "a model that is not there, 400": (
        error_in({"error": {"message": "xyz is not a valid model ID", "code": 400}}, "400 No"),
        F.UNKNOWN_MODEL,
        "valid model",
    ),
    "a request over all limits": (
        error_in(
            {
                "error": {
                    "message": "Request too large for m (TPM): Limit 9, Requested 10",
                    "code": "rate_limit_exceeded",
                }
            },
            "429 No",
        ),
        F.BAD_REQUEST,
        "Request too large",
    ),
    "a limit behind a failure": (
        error_in(
            {"error": {"message": "litellm.RateLimitError: slow down", "code": "429"}}, "500 No"
        ),
        F.RATE_LIMITED,
        "slow down",
    ),
    "no memory": (
        error_in(
            {
                "error": "Request failed during generation: Server error: CUDA out of memory",
                "error_type": "generation",
            },
            "424 No",
        ),
        F.SERVER_ERROR,
        "out of memory",
    ),
    "a filter, 400": (
        error_in({"error": {"code": "content_filter", "message": "policy"}}, "400 No"),
        F.FILTERED,
        "policy",
    ),
    "a filter in words": (
        error_in(
            {
                "error": {
                    "code": 403,
                    "message": "Your input was flagged",
                    "metadata": {"reasons": ["violence"]},
                }
            },
            "403 No",
        ),
        F.FILTERED,
        "flagged",
    ),
    "a body that never ends": (
        [*error_in({"error": {"message": "Loading"}}, "503 No", Content_Length="900"), END],
        F.SERVER_ERROR,
        "HTTP status 503",
    ),
    "an encoding that was not offered": (
        error_in(b"\x28\xb5\x2f\xfd\x00", Content_Encoding="zstd"),
        F.MALFORMED,
        "",
    ),
    "a broken encoding": (
        error_in(b"no gzip", Content_Encoding="gzip"),
        F.MALFORMED,
        "compression",
    ),
}


@pytest.mark.parametrize("habit", SAID_WRONG)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_a_server_complains_about_is_told(habit: str, streamed: bool) -> None:
    script, failure, words = SAID_WRONG[habit]
    error = fails(script, streamed=streamed)
    assert error.failure is failure, str(error)
    assert words in str(error)
    assert len(str(error)) < 500
