"""Fields that a server refuses are left out, renamed, or reported together with the remedy.

A server that refuses a field answers nothing and charges nothing, so the request is put otherwise
and sent again at once; what then went through is remembered for the model and said once. What would
change the meaning of a request is never left out: such a refusal stays one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

from rlfocal.pool.openai.body import body_of
from rlfocal.pool.openai.refusals import LIMITS, Refusal, mentioned_in, refusal_in
from rlfocal.pool.types import Api, Request, Response, SystemAs, Wording

__all__ = ["Attempt", "Dialect"]

_log = logging.getLogger(__name__)

_STATUSES = frozenset({400, 422, 501})
_OF_TEMPLATES = 500
"""With this status llama.cpp says that a chat template failed, which is before any token."""
_OF_CODE = b"unexpected keyword argument"
"""So Python refuses a field, whatever status a server makes of it: before any token, too."""
_OF_ROUTERS = 404
"""With this status a router says that no server behind it takes a field."""
_NOT_OF_FIELDS = frozenset({401, 402, 407, 408, 429})
"""With these statuses no server refuses a field."""
_MOST_TRIES = 8
_FEW = 5
"""Likely tokens beside each one that may come unasked."""
_LOGPROBS = frozenset({"logprobs", "top_logprobs"})
_MEANING = frozenset({
    "model", "messages", "prompt", "tools", "tool_choice", "functions", "function_call",
    "response_format", "n", "modalities", "audio", "logprobs", "top_logprobs", *LIMITS,
})  # fmt: skip
"""Without these a reply would answer another question, or cost more than it may."""
_REMEDY: Mapping[str, str] = {
    "logprobs": 'this model tells no log-probabilities; ask it with answers = "reply"',
    "top_logprobs": "set n_logprobs to what it allows",
    "messages": 'see system_as and template in the pool file',
    "model": "check the model's name",
    "prompt": 'set api = "chat"',
    **dict.fromkeys(LIMITS, "name the field by which it is told the most tokens of a reply: "
                    'max_tokens_field = "..." in the pool file'),
}  # fmt: skip


_ASKED_AGAIN = " (a new key: replies stored before are asked again)"
_UNKEYED = ("stream", "stream_options")
"""What changes no reply; see `Words.changes`."""
_SETTINGS: Mapping[str, str] = {
    **{name: name for name in ("temperature", "top_p", "seed", "stop")},
    **dict.fromkeys(("logprobs", "top_logprobs"), "n_logprobs"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Learned:
    """Of one model: what it refused and what went through instead."""

    drop: frozenset[str] = frozenset()
    renamed: tuple[tuple[str, str], ...] = ()
    """Name of a limit → the one that is taken."""
    not_at: frozenset[tuple[str, float]] = frozenset()
    """Temperatures and values of `top_p` that it does not take."""
    system_as: tuple[tuple[SystemAs, SystemAs], ...] = ()
    most_logprobs: int | None = None
    no_logprobs: bool = False
    """It tells none of the tokens of a reply, which are not needed."""
    one_alternative: bool = False

    def put(self, request: Request) -> Request:
        """A request in words that the model takes."""
        words = request.wording
        refused = set(self.drop)
        if ("temperature", request.temperature) in self.not_at:
            refused.add("temperature")
        if ("top_p", request.top_p) in self.not_at and _says_nothing(request):
            refused.add("top_p")
        left_out = words.drop | (refused - words.kept)
        limit, system = words.max_tokens_field, words.system_as
        for old, new in self.renamed:
            limit = new if limit == old else limit
        for was, then in self.system_as:
            system = then if system == was else system
        n_logprobs = min(request.n_logprobs, self.most_logprobs or request.n_logprobs)
        words = replace(
            words,
            drop=left_out,
            max_tokens_field=limit,
            system_as=system,
            one_alternative=words.one_alternative or self.one_alternative,
        )
        logprobs = request.logprobs and not self.no_logprobs
        if (words, n_logprobs, logprobs) == (
            request.wording, request.n_logprobs, request.logprobs
        ):  # fmt: skip
            return request
        return replace(request, wording=words, n_logprobs=n_logprobs, logprobs=logprobs)

    def with_all_of(self, other: _Learned) -> _Learned:
        """Both together."""
        return _Learned(
            self.drop | other.drop,
            tuple(dict.fromkeys(self.renamed + other.renamed)),
            self.not_at | other.not_at,
            tuple(dict.fromkeys(self.system_as + other.system_as)),
            other.most_logprobs or self.most_logprobs,
            self.no_logprobs or other.no_logprobs,
            self.one_alternative or other.one_alternative,
        )


_NOTHING = _Learned()


class Dialect:
    """How one server's fields differ from OpenAI's, as far as its refusals have shown.

    Args:
        host: how messages call the server.
        api: chat turns, or one text that the model goes on with.
    """

    def __init__(self, host: str, api: Api) -> None:
        self._host, self.api = host, api
        self.learned: dict[str, _Learned] = {}
        """Model → what it refused and what went through instead."""
        self._lock = threading.Lock()

    def keep(self, model: str, learned: _Learned) -> None:
        """Remember what went through, and say what of it is new."""
        with self._lock:  # members may be asked from several threads
            before = self.learned.get(model, _NOTHING)
            self.learned[model] = before.with_all_of(learned)
        where = f"{self._host}, model '{model}'" if model else self._host
        for remark in _remarks(before, self.learned[model]):
            _log.warning("%s: %s", where, remark)


class Attempt:
    """One request on its way, in the words that its server takes.

    Args:
        dialect: of the server.
        asked: the request.
    """

    def __init__(self, dialect: Dialect, asked: Request) -> None:
        self._dialect, self._asked = dialect, asked
        self._learned = self._known = dialect.learned.get(asked.model, _NOTHING)
        self._n_tries = 0
        self.remedy: str | None = None
        """What helps against the last refusal, where it named a field and could not be met."""
        self._cuts = False
        """Whether we have to look ourselves for the texts at which the reply ends."""
        self.request = asked
        """What is to be sent."""
        if self._known is not _NOTHING or asked.wording.drop:
            self._use(self._known)

    def _use(self, learned: _Learned) -> None:
        self._learned = learned
        request = self._asked if learned == _NOTHING else learned.put(self._asked)
        self._cuts = bool(request.stop) and "stop" in request.wording.drop
        # Nothing may be passed on before the end is found.
        self.request = replace(request, on_text=None) if self._cuts else request

    def refused(self, status: int, raw: bytes) -> bool:
        """Take note of a reply that is none.

        Args:
            status: of HTTP.
            raw: the server's words.

        Returns:
            True where `request` is another one now, to be sent at once.
        """
        self.remedy, sent = None, self.request
        learned = self._read(status, raw)
        if learned is None and _is_of_logprobs(sent, status, raw):
            learned = self._learned.with_all_of(_Learned(no_logprobs=True))
        self._n_tries += 1
        if learned is None or self._n_tries > _MOST_TRIES:
            return False
        self.remedy = None
        self._use(learned)
        return self.request != sent

    def _read(self, status: int, raw: bytes) -> _Learned | None:
        """What is known after a refusal; None where nothing can be done, with `remedy` set."""
        if status not in _STATUSES and status < 500 and status != _OF_ROUTERS:
            return None
        sent = self.request
        body = body_of(sent, self._dialect.api)
        refusal = refusal_in(raw, body)
        if refusal is None or not _is_meant(status, refusal, raw):
            self.remedy = _check(mentioned_in(raw, body), sent.wording)
            return None
        learned = self._learn(refusal, sent)
        if learned is None or self._n_tries >= _MOST_TRIES:
            self.remedy = _remedy(refusal, sent.wording)
        return learned

    def accepted(self, reply: Response, *, n_alternatives: int = 0) -> Response:
        """The reply that came in the end; what had to be left out for it is remembered.

        Args:
            reply: that came.
            n_alternatives: likely tokens that its server told beside each one, asked for or not.
        """
        if n_alternatives > _FEW and self.request.logprobs and not self.request.n_logprobs:
            self._learned = self._learned.with_all_of(_Learned(one_alternative=True))
        if self._learned != self._known:
            self._dialect.keep(self._asked.model, self._learned)
        if not self._cuts:
            return reply
        text = _before_first(reply.text, self._asked.stop)
        if text != reply.text:
            tokens = None if reply.tokens is None else reply.tokens.within(0, len(text))
            reply = replace(reply, text=text, finish="stop", tokens=tokens)
        if self._asked.on_text is not None:
            self._asked.on_text(reply.text)
        return reply

    def _learn(self, refusal: Refusal, sent: Request) -> _Learned | None:
        """What is known now; None where nothing can be done."""
        words, more = sent.wording, _Learned()
        if refusal.most is not None:
            return self._learned.with_all_of(_Learned(most_logprobs=refusal.most))
        for name in refusal.names:
            if name == words.max_tokens_field:
                more = more.with_all_of(self._other_limit(name, refusal.instead))
            elif (value := _value_refused(name, refusal, sent)) is not None:
                more = more.with_all_of(_Learned(not_at=frozenset({(name, value)})))
            elif name in _LOGPROBS and sent.logprobs and not sent.n_logprobs:
                more = more.with_all_of(_Learned(no_logprobs=True))
            elif name not in _MEANING | words.kept:
                more = more.with_all_of(_Learned(drop=frozenset({name})))
        if more == _Learned() and refusal.system and words.system_as != "user":
            then: SystemAs = "system" if words.system_as == "developer" else "user"
            more = _Learned(system_as=((words.system_as, then),))
        if more == _Learned():
            return None
        return self._learned.with_all_of(more)

    def _other_limit(self, name: str, instead: str | None) -> _Learned:
        """Another name for the limit; nothing where all that are known were tried."""
        tried = {name for pair in self._learned.renamed for name in pair} | {name}
        likely = (instead, "max_completion_tokens", "max_tokens")
        new = next((other for other in likely if other and other not in tried), None)
        return _Learned() if new is None else _Learned(renamed=((name, new),))


def _is_meant(status: int, refusal: Refusal, raw: bytes) -> bool:
    """Whether a refusal counts, of a status that mostly means something else."""
    if status == _OF_ROUTERS:
        return bool(refusal.names) and b"param" in raw.lower()
    if status >= 500 and status not in _STATUSES:
        of_code = bool(refusal.names) and _OF_CODE in raw.lower()
        return of_code or (status == _OF_TEMPLATES and refusal.system)
    return True


def _is_of_logprobs(sent: Request, status: int, raw: bytes) -> bool:
    """Whether the log-probabilities that nobody needs may be why there is no reply.

    Whatever words and status it is told by: without them nothing is lost.
    """
    if not sent.logprobs or sent.n_logprobs or status in _NOT_OF_FIELDS:
        return False
    return b"logprob" in raw.lower()


def _says_nothing(request: Request) -> bool:
    """Whether the request without its `top_p` says the same."""
    return request.top_p == 1 or request.temperature == 0


def _value_refused(name: str, refusal: Refusal, sent: Request) -> float | None:
    """The value of a field that is left out for this value alone."""
    if not refusal.of_value or name in sent.wording.kept:
        return None
    if name == "temperature":
        return sent.temperature
    return sent.top_p if name == "top_p" and _says_nothing(sent) else None


def _check(name: str | None, words: Wording) -> str | None:
    """What helps where a server takes a field, and not its value."""
    if name is None:
        return None
    if name in words.kept:
        return f"check '{name}' in extra_body in the pool file"
    setting = "max_tokens" if name == words.max_tokens_field else _SETTINGS.get(name)
    return f"check '{name}' of the request" if setting is None else f"check {setting} of the member"


def _remedy(refusal: Refusal, words: Wording) -> str | None:
    for name in refusal.names:
        if name in words.kept:
            return f"take '{name}' out of extra_body in the pool file"
        if name == words.max_tokens_field or name in _REMEDY:
            return _REMEDY.get(name, _REMEDY["max_tokens"])
        return f"this model does not take '{name}'; leave it out of the request"
    return "leave the system's words out" if refusal.system else None


def _remarks(before: _Learned, now: _Learned) -> list[str]:
    """What is said of what is new, with the setting that makes it last."""
    remarks = []
    names = set(now.drop - before.drop)
    names |= {name for name, _ in now.not_at} - {name for name, _ in before.not_at}
    for name in sorted(names):
        held = " (replies are cut at stop here)" if name == "stop" else ""
        remarks.append(
            f"does not take '{name}', which is left out from now on{held}; to have it so at once: "
            f'drop = ["{name}"] in the pool file{"" if name in _UNKEYED else _ASKED_AGAIN}'
        )
    for old, new in now.renamed[len(before.renamed) :]:
        remarks.append(
            f"does not take '{old}', which is sent as '{new}' from now on; to have it so at once: "
            f'max_tokens_field = "{new}" in the pool file'
        )
    for was, then in now.system_as[len(before.system_as) :]:
        remarks.append(
            f"does not take turns of the role '{was}', which are sent as those of '{then}' from "
            f'now on; to have it so at once: system_as = "{then}" in the pool file{_ASKED_AGAIN}'
        )
    if now.no_logprobs > before.no_logprobs:
        remarks.append(
            "tells no log-probabilities of its tokens, which are not asked for from now on; to "
            "have it so at once: logprobs = false in the pool file"
        )
    if now.most_logprobs != before.most_logprobs:
        remarks.append(
            f"tells {now.most_logprobs} log-probabilities at most, and is asked for as many from "
            f"now on; to have it so at once: n_logprobs = {now.most_logprobs} in the pool file"
        )
    return remarks


def _before_first(text: str, stops: tuple[str, ...]) -> str:
    found = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    return text[: min(found)] if found else text
