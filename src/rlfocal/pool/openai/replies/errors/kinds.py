"""Of which kind a failure is, by the status, the codes and the words that a server gives for it.

A status is believed as far as nothing says it more exactly. Knows nothing of the shapes in which
codes and words come.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rlfocal.errors import Failure
from rlfocal.pool.openai.http_failures import failure_of
from rlfocal.pool.openai.replies.errors.lengths import advises_less, has_no_room

__all__ = ["kind_of"]

_MOST_READ = 600
"""Characters of words: what went wrong is said at their beginning."""


def _any(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.IGNORECASE | re.DOTALL)


_CODES: Mapping[Failure, tuple[str, ...]] = {
    Failure.FILTERED: (
        "content_filter", "content_policy", "contentfilter", "contentpolicy", "responsibleaipolicy",
        "responsible_ai_policy", "data_inspection_failed", "datainspectionfailed",
        "prohibited_content", "moderation_blocked", "moderation_failed", "content_moderation",
        "guardrail_intervened", "sensitivecontent", "sensitive_content", "risky_content",
        "unsafe_content", "content_blocked", "prompt_blocked", "censorship", "policy_violation",
        "usage_policy", "safety_check", "safety_violation", "safety_block", "blocked_by_safety",
        "safety_filter", "safety_system", "flagged_content", "content_flagged",
    ),
    Failure.OUT_OF_CREDIT: (
        "insufficient_quota", "insufficient_balance", "insufficient_credit", "insufficient_funds",
        "billing", "payment_required", "arrearage", "credits_exhausted", "no_credits",
        "exceeded_current_quota", "out_of_credit", "insufficient_user_quota", "budget_exceeded",
        "budgetexceeded", "exceeded_budget", "exceededbudget", "credit_limit", "spend_limit",
        "spending_limit", "token_quota_reached", "account_overdue", "accountoverdue",
        "overdue_balance", "overduebalance", "insufficientbalance", "balance_insufficient",
    ),
    Failure.BAD_REQUEST: (
        "context_length_exceeded", "exceed_context_size", "context_window", "string_above_max",
    ),
    Failure.RATE_LIMITED: (
        "rate_limit", "ratelimit", "rate limit", "too_many_requests", "toomanyrequests",
        "resource_exhausted", "throttl", "limit_burst_rate", "limit_requests", "rate_exceeded",
        "request_quota_exceeded", "token_quota_exceeded", "quota_exceeded", "quotaviolation",
        "consumption_limit", "tpm_limit", "rpm_limit",
    ),
    Failure.UNAUTHORISED: (
        "invalid_api_key", "invalidapikey", "api_key_invalid", "authentication", "unauthorized",
        "unauthenticated", "permission_denied", "permission_error", "permissiondenied",
        "invalid_token", "accessdenied", "access_denied", "invalid_key", "missing_api_key",
        "access_forbidden", "accessforbidden", "request_forbidden", "requestforbidden",
    ),
    Failure.UNKNOWN_MODEL: (
        "model_not_found", "modelnotfound", "not_found", "notfounderror", "invalid_model",
        "unknown_model", "deploymentnotfound", "model_not_exist", "model_not_supported",
        "model_decommissioned", "model_retired", "model_deprecated", "model_discontinued",
        "model_not_available", "model_not_open", "modelnotopen", "unsupported_model",
        "invalid_deployment", "invalidendpointormodel",
    ),
    Failure.SERVER_ERROR: (
        "overloaded", "server_error", "internal", "unavailable", "capacity", "timeout", "aborted",
        "deadline_exceeded", "engine_", "loading", "try_again", "provider_error", "bad_gateway",
    ),
}  # fmt: skip
"""Parts of codes, in small letters; the kinds that say most come first."""
_WHOLE_CODES = {"safety": Failure.FILTERED, "forbidden": Failure.UNAUTHORISED}
"""Words that are codes on their own, and parts of quite other ones."""
_OF_A_SETTING = re.compile(
    r"(identifier|settings?|_id|param(eter)?s?|field|level|mode|config|option)(_error)?$|"
    r"^(unknown|unsupported|unrecognized|extra|missing)_(param|field|arg|key|prop|option|value)"
)
"""Codes about a field that is called after something, such as `safety_identifier`."""
_DOWN = re.compile(r"unavailable|timeout|internal|overload|temporar")
_NUMBERED: Mapping[str, Failure] = {
    f"{key}={number}": failure
    for key, numbers in (
        # Zhipu (its keys' errors have a status of their own) and iFlytek
        ("code", {
            Failure.OUT_OF_CREDIT: (1112, 1113, 1309),
            Failure.FILTERED: (1301, 10013, 10014, 10019),
            Failure.RATE_LIMITED: (
                1302, 1303, 1304, 1305, 1308, 1310, 11200, 11201, 11202, 11203, 10007,
            ),
            Failure.UNKNOWN_MODEL: (1211, 1212, 1221),
            Failure.BAD_REQUEST: (1261,),
        }),
        # MiniMax
        ("status_code", {
            Failure.RATE_LIMITED: (1002, 1039, 1041, 2056),
            Failure.UNAUTHORISED: (1004, 2049),
            Failure.OUT_OF_CREDIT: (1008,),
            Failure.FILTERED: (1026, 1027),
        }),
        # Baidu
        ("error_code", {
            Failure.RATE_LIMITED: (4, 17, 18, 19),
            Failure.UNAUTHORISED: (6, 13, 14, 110, 111),
        }),
    )
    for failure, listed in numbers.items()
    for number in listed
}  # fmt: skip
"""Numbers that stand for kinds, by the key under which they come."""
_OF_REQUEST = (
    "invalid_request", "badrequest", "bad_request", "invalid_argument", "validation", "unsupported",
    "invalid_parameter", "invalidparameter", "unprocessable", "invalid_value", "invalid argument",
)  # fmt: skip
"""What some servers say of every error of a client, a wrong key among them: it counts last."""
_FILTERED = _any(
    r"content (management|filter\w*|safety|usage) polic|content[- ]filter|flagged (by|for|as)|"
    r"\bflagged\b.{0,40}?\b(violat|polic|harm|unsafe)",
    r"(input|prompt|content|message|request|text|output|response|query)s? (was|were|is|has been|"
    r"have been|got) (flagged|blocked (by|due|because|for)|moderated|censored)",
    r"content (policy|moderation)|safety (system|check|filter|polic)|inappropriate content",
    r"content safety|sensitive content|violates? (our |the |its )?(\w+ )?(usage|content|safety) "
    r"(guideline|polic|rule)|data inspection|responsible ai",
    r"敏感|违规|不安全|内容安全|安全审核|风险内容",
)
_MODERATION = _any(r"(?<![\w.'\"`])moderation(?![\w.'\"`]|\s+(param|field|service))")
"""Said of fields as well."""
_NO_CREDIT = _any(
    r"insufficient (account |user |wallet )?(balance|credits?|funds|quota)|"
    r"credit balance is too low|credit limit exceeded",
    r"out of credits?|not enough credits?|requires more credits",
    r"no (remaining |more |available )?credits?\b(?!\s*(were|was|will|have|has|are|is)?\s*(be |"
    r"been )?(charged|used|deducted|consumed|needed|required|billed|spent|necessary))",
    r"(used|exhausted) all (of )?(its |your |the )?(available |included |monthly )*credits",
    r"exceeded your (current quota|monthly included credits)|spending limit|billing hard limit",
    r"payment required|balance is (insufficient|not enough|exhausted)|in arrears|"
    r"overdue (payment|balance)|please (recharge|top[- ]?up)|add (more )?credits|"
    r"check your plan and billing",
    r"(?<!token )(?<!thinking )(?<!reasoning )(?<!context )\bbudget (has |was |is |been )*"
    r"(exceeded|exhausted|reached|used up|spent)|(exceed\w*|over) (your |the |its |team |user )*"
    r"(max )?budget",
    r"\b(monthly|month's|lifetime|trial|free[- ]tier|included|prepaid)\b.{0,30}?\b(quota|allowance|"
    r"limit|budget|credits?|spend\w*)\b.{0,30}?\b(reached|exceeded|exhausted|used up)",
    r"余额不足|余额已|欠费|充值|资源包",
)
_OF_MACHINES = _any(
    r"quota of (gpu|cpu|node|machine)s?|gpus?\b|load balanc\w+ is|compute (quota|cap)"
)
"""Not money is short there."""
_LIMITED = _any(
    r"rate[- _]?limit|too many (requests|tokens)|throttl|resource has been exhausted",
    r"(requests?|sending|asking) too (quickly|fast|often|frequently)|qps\b.{0,40}?\blimit",
    r"quota (limit )?(exceeded|reached|violation)|slow down|"
    r"(requests|tokens) per (second|minute|hour|day)",
    r"(request|token|consumption|usage|daily|concurren\w+) (limit|quota) (of .{1,40}? )?(was |is |"
    r"has been )?(reached|exceeded|hit)",
    r"频率|过于频繁|限流|速率|并发|请求过多|请求数过|每(?:分钟|秒|小时|天|日)",
)
_BUSY = _any(
    r"\boverload(ed)?\b|(at|over|no|out of|insufficient) capacity|temporarily (unavailable|down)|"
    r"server (is )?(too )?busy|service (is )?unavailable|internal (server )?error|"
    r"no (slot|worker|replica)s? (is |are )?available|queue is full|"
    r"model (is )?(still )?(loading|starting|warming)",
    r"服务繁忙|系统繁忙|服务器繁忙|过载|稍后再试",
)
_NO_KEY = _any(
    r"(invalid|incorrect|missing|no|wrong|bad) (auth\w* )?(api[- _]?key|token|credentials|access "
    r"token)|api[- _]?key (is )?(not valid|invalid|missing|required)|unauthori[sz]ed|authenticat",
    r"(access )?token (is )?(invalid|expired|missing|no longer valid)|"
    r"permission denied|not authori[sz]ed|log[- ]?in (has )?fail|please log ?in|not logged in",
    r"鉴权|认证失败|未授权|令牌|密钥|无权",
)
_OF_A_MODEL = r"(?:(?!\. |[,;]).)"
_NO_MODEL = _any(
    r"model\b.{0,80}?\b(not found|does not exist|doesn't exist|not a valid model|is not available|"
    r"not loaded|unknown)|unknown model|no such model|not a valid model|no endpoints found",
    rf"model\b{_OF_A_MODEL}{{0,80}}?\b(decommissioned|retired|discontinued|sunset|"
    r"end[- ]of[- ]life|has been (deprecated|removed|shut ?down|turned off)|"
    r"(is |was )?no longer (available|offered|served|hosted|supported))",
    r"invalid model (name|id|identifier)|invalid model:|(non-?existent|unsupported) model\b",
    rf"model (id|identifier|name)\b{_OF_A_MODEL}{{0,60}}?\b(invalid|not valid|not recogni[sz]ed)",
    r"unable to access (non-serverless )?model|model id .{1,80}? with on-demand throughput",
    r"unexpected endpoint|no such (route|endpoint|path)|cannot (post|get) /|"
    r"(route|endpoint|path|url) .{0,60}?not found",
    r"模型不存在|模型未|未找到模型",
)
_NONE_FOR_IT = _any(
    r"no (endpoints?|providers?) (was |were )?(found |available )?(that |which )?(can |could )?"
    r"(supports?|handles?|accepts?)\b"
)
"""A router has the model, and nobody who serves it takes what this request asks for."""
_IN_REQUEST = _any(
    r"unsupported|not supported|not permitted|not allowed|invalid (value|param|argument|request|"
    r"field)|unrecogni[sz]ed|unknown (parameter|field|argument)|missing required|extra inputs"
)
_OF_A_FIELD = _any(
    r"(unknown|unsupported|unrecogni[sz]ed|invalid|unexpected|extra|missing) (\w+ )?(param|field|"
    r"arg|key\b|propert|option|inputs?\b)|invalid (value )?['\"`](?!model)"
)
_BY_WORDS: tuple[tuple[re.Pattern[str], Failure], ...] = (
    (_LIMITED, Failure.RATE_LIMITED),
    (_MODERATION, Failure.FILTERED),
    (_NO_KEY, Failure.UNAUTHORISED),
    (_NO_MODEL, Failure.UNKNOWN_MODEL),
    (_IN_REQUEST, Failure.BAD_REQUEST),
)
_NUMBERS = {402: Failure.OUT_OF_CREDIT, 429: Failure.RATE_LIMITED}
_OF_CLIENTS = frozenset({400, 401, 403, 404, 422})
"""Statuses that gateways put upon anything that a server behind them refused."""


def kind_of(
    status: int | None,
    codes: Sequence[str],
    words: str,
    *,
    number: int | None = None,
    wait_s: float | None = None,
) -> Failure:
    """The kind of a failure.

    Args:
        status: of HTTP, 300 or more; None where that was fine.
        codes: codes, types and the like, in small letters; numbers as "key=number".
        words: the server's own.
        number: an HTTP status within the body.
        wait_s: seconds that it asked to wait.

    >>> kind_of(403, (), "Too many requests from this IP")
    <Failure.RATE_LIMITED: 'rate-limited'>
    >>> kind_of(422, ("extra_forbidden",), "body.seed: Extra inputs are not permitted")
    <Failure.BAD_REQUEST: 'bad-request'>
    """
    words = words[:_MOST_READ]
    by_code = _by_codes(codes)
    is_down = status is not None and status >= 500
    if by_code is Failure.FILTERED:
        return by_code
    if not is_down and status not in (402, 429) and _is_filtered(words):
        return Failure.FILTERED
    if by_code is Failure.OUT_OF_CREDIT or status == 402:
        return Failure.OUT_OF_CREDIT
    is_limited = by_code is Failure.RATE_LIMITED or 429 in (status, number)
    is_limited = is_limited or _LIMITED.search(words) is not None
    told = number if status is None else status
    if by_code is Failure.BAD_REQUEST or _is_unfit(told, words, is_limited=is_limited):
        return Failure.BAD_REQUEST
    # Who says when to come again does not mean that the account is empty: so Gemini words its
    # limit of requests a minute.
    if wait_s is None and by_code is not Failure.RATE_LIMITED and _is_unpaid(words):
        return Failure.OUT_OF_CREDIT
    if status is None or is_down:
        return _of_server(status, codes, words, number, by_code)
    return _of_client(status, codes, words, by_code)


def _is_unfit(status: int | None, words: str, *, is_limited: bool) -> bool:
    """Whether words refuse this request for good: for its length, or for what it asks for."""
    if _NONE_FOR_IT.search(words) and (status is None or status < 500):
        return True
    # Of a minute's limit, too, servers say that a shorter request would fit into it.
    is_unfit = has_no_room(words, is_limited=is_limited)
    return status != 404 and (is_unfit or (advises_less(words) and not is_limited))


def _is_filtered(words: str) -> bool:
    return _FILTERED.search(words) is not None and _OF_A_FIELD.search(words) is None


def _is_unpaid(words: str) -> bool:
    return _NO_CREDIT.search(words) is not None and _OF_MACHINES.search(words) is None


def _by_codes(codes: Sequence[str]) -> Failure | None:
    for code in codes:
        if (failure := _NUMBERED.get(code) or _WHOLE_CODES.get(code)) is not None:
            return failure
    for failure, parts in _CODES.items():
        if any(_means(code, part, failure) for code in codes for part in parts):
            return failure
    return None


def _means(code: str, part: str, failure: Failure) -> bool:
    if part not in code:
        return False
    if failure is Failure.FILTERED:
        return _OF_A_SETTING.search(code) is None
    # What a service of billing suffers from is not the account's fault.
    return failure is not Failure.OUT_OF_CREDIT or _DOWN.search(code) is None


def _of_client(status: int, codes: Sequence[str], words: str, by_code: Failure | None) -> Failure:
    """For errors with a status from 300 to 499."""
    if status not in _OF_CLIENTS:
        gone = status == 410 and _NO_MODEL.search(words)
        return Failure.UNKNOWN_MODEL if gone else failure_of(status)
    of_field = _OF_A_FIELD.search(words) is not None
    if by_code is Failure.RATE_LIMITED or (_LIMITED.search(words) and not of_field):
        return Failure.RATE_LIMITED
    if status in (401, 404):
        return failure_of(status)
    if not of_field and _MODERATION.search(words):
        return Failure.FILTERED
    if by_code is Failure.UNKNOWN_MODEL or (by_code is Failure.UNAUTHORISED and status != 422):
        return by_code
    if status == 403:
        return Failure.UNAUTHORISED
    return _of_refusal(status, codes, words, by_code)


def _of_refusal(status: int, codes: Sequence[str], words: str, by_code: Failure | None) -> Failure:
    """For 400 and 422, which may mean anything."""
    if _NO_MODEL.search(words) and not _OF_A_FIELD.search(words):
        return Failure.UNKNOWN_MODEL
    if status == 400 and _NO_KEY.search(words):
        return Failure.UNAUTHORISED
    of_request = _names_request(codes) or _IN_REQUEST.search(words)
    if not of_request and (by_code is Failure.SERVER_ERROR or _BUSY.search(words)):
        return Failure.SERVER_ERROR
    return Failure.BAD_REQUEST


def _of_server(
    status: int | None,
    codes: Sequence[str],
    words: str,
    number: int | None,
    by_code: Failure | None,
) -> Failure:
    """For errors that no status of HTTP tells, or one that only says that something failed."""
    if number in _NUMBERS:
        return _NUMBERS[number]
    if by_code is not None and by_code is not Failure.SERVER_ERROR:
        is_gone = status is None or status == 500 or by_code is not Failure.UNKNOWN_MODEL
        return by_code if is_gone else failure_of(status or 503)
    if status is not None:
        return failure_of(status)
    if number is not None:
        return _of_client(number, codes, words, by_code) if number < 500 else failure_of(number)
    if by_code is not None:
        return by_code
    for pattern, failure in _BY_WORDS:
        if pattern.search(words):
            return failure
    return Failure.BAD_REQUEST if _names_request(codes) else Failure.SERVER_ERROR


def _names_request(codes: Sequence[str]) -> bool:
    return any(part in code for code in codes for part in _OF_REQUEST)
