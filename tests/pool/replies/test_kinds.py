"""Kinds of failures and the words told of them, for shapes and words that real servers use."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rlfocal.errors import Failure
from rlfocal.pool.openai.replies.errors.reading import Upstream, complaint_in, error_for, read_error

F = Failure


def error(status: int, body: Any, **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_error(raw, status, Upstream("h", lambda text: text[:200], named))


def says(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


PER_MINUTE = (
    "This request would exceed your organization's rate limit of 40,000 input tokens per minute. "
    "For details, refer to: https://docs.anthropic.com/en/api/rate-limits. Please reduce the "
    "prompt length or the maximum tokens requested, or try again later."
)
ANTHROPIC = {"type": "error", "error": {"type": "rate_limit_error", "message": PER_MINUTE}}
TPM = "Request too large for gpt-4o in organization o on tokens per min (TPM): Limit 30000, "
TPM += "Requested 34000. The input or output tokens must be reduced in order to run successfully."
KINDS: list[tuple[int, Any, Failure]] = [
    # Filters
    (403, says("Your model requires moderation and your input was flagged for \"violence\". "
               "No credits were charged.", code=403), F.FILTERED),
    (403, {"code": "The caller does not have permission",
           "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_X"},
     F.FILTERED),
    (403, says("Your request was blocked by our content safety checks", type="forbidden"),
     F.FILTERED),
    (403, says("Request blocked by safety policy", code="safety"), F.FILTERED),
    (400, says("x", code="SensitiveContentDetected"), F.FILTERED),
    (400, says("x", code="InputTextSensitiveContentDetected.SevereViolation"), F.FILTERED),
    (400, says("系统检测到输入或生成内容可能包含不安全或敏感内容", code="1301"), F.FILTERED),
    (400, says("Invalid prompt: your prompt was flagged as potentially violating our usage policy",
               code="invalid_prompt"), F.FILTERED),
    (400, says("Invalid 'metadata.moderation': must be string", code="invalid_type"),
     F.BAD_REQUEST),
    (400, says("Unknown parameter: 'safety_identifier'.", type="safety_identifier_error"),
     F.BAD_REQUEST),
    (400, says("Unknown parameter: 'moderation'"), F.BAD_REQUEST),
    (400, says("x", code="invalid_safety_settings"), F.BAD_REQUEST),
    (500, says("cannot load weights", type="safetensors_error"), F.SERVER_ERROR),
    (503, says("Moderation service is down"), F.SERVER_ERROR),
    # Credit
    (503, says("The model's capacity is exhausted. Insufficient quota of GPUs."), F.SERVER_ERROR),
    (500, says("load balance is insufficient: no healthy upstream"), F.SERVER_ERROR),
    (503, says("Billing service down", code="billing_service_unavailable"), F.SERVER_ERROR),
    (503, says("No credits left for your account", code="no_credits"), F.OUT_OF_CREDIT),
    (401, says("Insufficient balance"), F.OUT_OF_CREDIT),
    (400, says("Budget has been exceeded! Current cost: 10.1, Max budget: 10.0"), F.OUT_OF_CREDIT),
    (429, says("x", type="budget_exceeded"), F.OUT_OF_CREDIT),
    (400, says("The thinking budget exceeded max_tokens"), F.BAD_REQUEST),
    (429, says("您的账户已欠费请充值后重试", code="1113"), F.OUT_OF_CREDIT),
    (403, {"errors": [{"code": "token_quota_reached",
                       "message": "Request denied; monthly token quota reached: 50000"}]},
     F.OUT_OF_CREDIT),
    # Rates, and what only sounds like a request that never fits
    (429, says("您的 tokens 用量已超出每分钟限制"), F.RATE_LIMITED),
    (429, says("每分钟请求的token数量超过上限 请稍后再试"), F.RATE_LIMITED),
    (400, says("每分钟请求的token数量超过上限 请稍后再试"), F.RATE_LIMITED),
    (429, says("账户 token 额度超出"), F.RATE_LIMITED),
    (429, says("tokens 用量超过模型限制"), F.RATE_LIMITED),
    (429, says("input tokens per minute must be <= 4000"), F.RATE_LIMITED),
    (400, says("input tokens per minute must be <= 4000"), F.RATE_LIMITED),
    (200, says("input tokens must be <= 4000", code="rate_limit_exceeded"), F.RATE_LIMITED),
    (429, says("This model's maximum context length is 4096 tokens"), F.BAD_REQUEST),
    (429, says("请求上下文长度超出限制"), F.BAD_REQUEST),
    (400, says("tokens数量超过模型最大限制"), F.BAD_REQUEST),
    (503, says("No endpoints available that can handle the request"), F.SERVER_ERROR),
    (200, says("No endpoints available that can handle the request", code=503), F.SERVER_ERROR),
    (404, says("No endpoints found that support tool use"), F.BAD_REQUEST),
    (200, says("No endpoints found that support tool use", code=404), F.BAD_REQUEST),
    # Keys
    (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "zz"], "msg": "Extra inputs"}]},
     F.BAD_REQUEST),
    (400, says("[{'type': 'extra_forbidden', 'loc': ('body', 'zz')}]", code="extra_forbidden"),
     F.BAD_REQUEST),
    (400, says("no", code="AccessForbidden"), F.UNAUTHORISED),
    (400, says("no", type="request_forbidden"), F.UNAUTHORISED),
    (400, says("no", type="forbidden"), F.UNAUTHORISED),
    (401, says("token expired, please try again in 5 minutes"), F.UNAUTHORISED),
    (200, {"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, F.UNAUTHORISED),
    (200, {"error_code": 110, "error_msg": "Access token invalid or no longer valid"},
     F.UNAUTHORISED),
    # Limits
    (403, says("API rate limit exceeded for 1.2.3.4"), F.RATE_LIMITED),
    (403, says("Too many requests from this IP"), F.RATE_LIMITED),
    (403, says("You are sending requests too quickly"), F.RATE_LIMITED),
    (401, says("rate limit exceeded for anonymous users"), F.RATE_LIMITED),
    (404, says("x", code="rate_limit_exceeded"), F.RATE_LIMITED),
    (400, says("You have hit the rate limit. Please retry after 3 seconds."), F.RATE_LIMITED),
    (422, says("Rate limit exceeded"), F.RATE_LIMITED),
    (400, says("请求过于频繁请稍后再试", code="1302"), F.RATE_LIMITED),
    (400, says("Unknown parameter: 'rate_limit'"), F.BAD_REQUEST),
    (413, says("Request too large for m on tokens per minute", code="rate_limit_exceeded"),
     F.BAD_REQUEST),
    # Advice to ask for less is no fact about the request where a rate is the limit.
    (429, ANTHROPIC, F.RATE_LIMITED),
    (429, says(f"litellm.RateLimitError: AnthropicException - {json.dumps(ANTHROPIC)}",
               type=None, code="429"), F.RATE_LIMITED),
    (500, says(f"litellm.RateLimitError: {PER_MINUTE}", code="429"), F.RATE_LIMITED),
    (400, says(PER_MINUTE), F.RATE_LIMITED),
    (200, ANTHROPIC, F.RATE_LIMITED),
    (200, says(PER_MINUTE), F.RATE_LIMITED),
    (429, says(TPM, type="tokens", code="rate_limit_exceeded"), F.BAD_REQUEST),
    (429, says("prompt is too long", type="rate_limit_error"), F.BAD_REQUEST),
    (429, says("Please reduce the length", code="context_length_exceeded"), F.BAD_REQUEST),
    (400, says("Please reduce the length of the messages or completion."), F.BAD_REQUEST),
    (200, says("Please reduce the length of the messages or completion."), F.BAD_REQUEST),
    (200, {"error_code": 18, "error_msg": "Open api qps request limit reached"}, F.RATE_LIMITED),
    (200, {"code": "Throttling.RateQuota", "message": "Requests rate limit"}, F.RATE_LIMITED),
    # Servers
    (400, says("The model is overloaded, please retry later"), F.SERVER_ERROR),
    (400, says("x", type="server_error"), F.SERVER_ERROR),
    (422, says("x", code="internal_server_error"), F.SERVER_ERROR),
    (400, says("Temperature should be in (0, 2)", code="invalid_parameter_error",
               type="InternalError.Algo.InvalidParameter"), F.BAD_REQUEST),
    # Models and addresses
    (400, says("The model `m-8x7b` has been decommissioned and is no longer supported.",
               type="invalid_request_error", code="model_decommissioned"), F.UNKNOWN_MODEL),
    (400, says("The model gpt-3.5 has been retired"), F.UNKNOWN_MODEL),
    (400, says("Unable to access non-serverless model X. Please create an endpoint",
               code="model_not_available"), F.UNKNOWN_MODEL),
    (400, says("{'error': '/chat/completions: Invalid model name passed in model=zz. Call models'}",
               code="400"), F.UNKNOWN_MODEL),
    (400, {"message": "The provided model identifier is invalid."}, F.UNKNOWN_MODEL),
    (410, says("The model has been retired"), F.UNKNOWN_MODEL),
    (503, says("m", code="model_not_available"), F.SERVER_ERROR),
    (200, {"error": "Unexpected endpoint or method. (POST /v1/v1/chat/completions)"},
     F.UNKNOWN_MODEL),
    # A router that has the model, and nobody for what this request asks for
    (404, says("No endpoints found that support tool use. To learn more about provider routing, "
               "visit: https://openrouter.ai/docs/provider-routing", code=404), F.BAD_REQUEST),
    (404, says("No endpoints found that support image input", code=404), F.BAD_REQUEST),
    (404, says("No endpoints found that can handle the requested parameters.", code=404),
     F.BAD_REQUEST),
    (200, says("No endpoints found that support tool use", code=404), F.BAD_REQUEST),
    (404, says("No endpoints found for x/y.", code=404), F.UNKNOWN_MODEL),
    (404, says("No endpoints found matching your data policy", code=404), F.UNKNOWN_MODEL),
    (400, says("For this model, temperature is no longer supported"), F.BAD_REQUEST),
    (400, says("`temperature` is deprecated for this model."), F.BAD_REQUEST),
    (400, says("Billing address field 'seedx' unknown", type="invalid_request_error"),
     F.BAD_REQUEST),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "failure"), KINDS)
def test_kinds(status: int, body: Any, failure: Failure) -> None:
    if status >= 400:
        assert error(status, body).failure is failure
        return
    complaint = complaint_in(body)
    assert complaint is not None
    assert error_for(complaint, None, Upstream("h")).failure is failure


def test_a_limit_a_minute_is_waited_for_as_long_as_it_says() -> None:
    limited = error(429, ANTHROPIC, retry_after="1")
    assert (limited.turned_away, limited.failure.passes, limited.retry_after_s) == (True, True, 1.0)


WORDS: list[tuple[Any, str]] = [
    ({"error_code": 336, "error_msg": "must be less"}, "must be less"),
    ({"errCode": 17, "errMsg": "bad thing"}, "bad thing"),
    ({"ErrorMessage": "caps bad"}, "caps bad"),
    ({"errorMsg": "camel bad"}, "camel bad"),
    (
        {"fault": {"faultstring": "Quota violation", "detail": {"errorcode": "x"}}},
        "Quota violation",
    ),
    ({"status": "error", "data": {"message": "quota thing"}}, "quota thing"),
    ({"message": {"text": "inner bad"}}, "inner bad"),
    ({"errors": {"temperature": ["must be less than 2"]}}, "temperature: must be less than 2"),
    ({"errors": {"top_p": ["too high"], "n": ["too low"]}}, "top_p: too high; n: too low"),
    ({"error": {"issues": [{"message": "Unrecognized key", "path": []}]}}, "Unrecognized key"),
    ({"detail": {"error": "bad stuff"}}, "bad stuff"),
    ('{"error":{"message":"Schlüssel ungültig äöü"}}'.encode("latin-1"), "Schlüssel ungültig äöü"),
    ("Clé refusée".encode("latin-1"), "Clé refusée"),
]


@pytest.mark.parametrize(("body", "words"), WORDS)
def test_words_are_told(body: Any, words: str) -> None:
    assert f"({words})" in str(error(400, body))


def test_words_in_a_charset_are_told() -> None:
    raw = "参数错误".encode("gbk")
    assert "参数错误" in str(error(400, raw, Content_Type="text/plain; charset=GBK"))
    for odd in ("rot13", "zip", "nowhere", "utf-8", "idna"):
        assert error(400, raw, Content_Type=f"text/plain; charset={odd}").failure is F.BAD_REQUEST
    assert "ü" in str(error(400, "für einen Schlüssel ".encode() + b"\xc3"))


@pytest.mark.parametrize(
    "found",
    [
        {"type": "status", "message": "Loading model"},
        {"message": "keep-alive"},
        {"type": "ping", "message": "still here"},
        {"status": "processing", "message": "in line"},
        {"id": "x", "message": "hello"},
        {"error_code": 0, "error_msg": ""},
        {"error_msg": "success", "result": "17"},
        {"message": {"role": "assistant", "content": "17"}, "done": True},
    ],
)
def test_what_is_no_complaint(found: Any) -> None:
    assert complaint_in(found) is None


@pytest.mark.parametrize(
    "found",
    [
        {"error_msg": "upstream died", "error_code": 500},
        {"id": "x", "status_code": 500, "message": "upstream died"},
        {"id": "x", "code": 1302, "msg": "upstream died"},
        {"fault": {"faultstring": "upstream died"}},
        {"type": "error", "message": "upstream died"},
    ],
)
def test_what_is_one(found: Any) -> None:
    complaint = complaint_in(found)
    assert complaint is not None
    assert complaint.words == "upstream died"
