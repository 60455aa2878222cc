"""Fields that a server refuses are left out, renamed, or reported together with the remedy.

A server that refuses a field answers nothing and charges nothing, so the request is put otherwise
and sent again at once; what then went through is remembered for the model and said once. What would
change the meaning of a request is never left out: such a refusal stays one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace

from rlfocal.pool.openai.body import body_of
from rlfocal.pool.openai.learned import (
    NOTHING,
    Learned,
    fields_of,
    remarks,
    shown,
    signature,
    value_of,
    written,
)
from rlfocal.pool.openai.refusals import LIMITS, Refusal, mentioned_in, refusal_in
from rlfocal.pool.openai.scopes import depends_on, scope_of, speaks_of_turns
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
_MOST_WORDS = 4000
"""Bytes of a reply that are taken for its words."""
_FEW = 5
"""Likely tokens beside each one that may come unasked."""
_LOGPROBS = frozenset({"logprobs", "top_logprobs"})
_MEANING = frozenset({
    "model", "messages", "prompt", "tools", "tool_choice", "functions", "function_call",
    "response_format", "n", "modalities", "audio", "logprobs", "top_logprobs", *LIMITS,
})  # fmt: skip
"""Without these a reply would answer another question, or cost more than it may."""
_SEEN_TO = frozenset({"stop", "stream", "stream_options"})
"""What has its effect though it is not sent."""
_REMEDY: Mapping[str, str] = {
    "logprobs": 'this model tells no log-probabilities; ask it with answers = "reply"',
    "top_logprobs": "set n_logprobs to what it allows",
    "messages": 'see system_as and template in the pool file',
    "model": "check the model's name",
    "prompt": 'set api = "chat"',
    **dict.fromkeys(LIMITS, "name the field by which it is told the most tokens of a reply: "
                    'max_tokens_field = "..." in the pool file'),
}  # fmt: skip

_SETTINGS: Mapping[str, str] = {
    **{name: name for name in ("temperature", "top_p", "seed", "stop")},
    **dict.fromkeys(("logprobs", "top_logprobs"), "n_logprobs"),
}  # fmt: skip


class Dialect:
    """How one server's fields differ from OpenAI's, as far as its refusals have shown.

    Args:
        host: how messages call the server.
        api: chat turns, or one text that the model goes on with.
    """

    def __init__(self, host: str, api: Api) -> None:
        self._host, self.api = host, api
        self.learned: dict[str, Learned] = {}
        """Model → what it refused and what went through instead."""
        self._told: dict[str, frozenset[str]] = {}
        """Model → fields of which it was said that they are left out of single requests."""
        self._lock = threading.Lock()

    def keep(self, model: str, learned: Learned) -> None:
        """Remember what went through, and say what of it is new."""
        with self._lock:  # members may be asked from several threads
            before = self.learned.get(model, NOTHING)
            now = before.with_all_of(learned)
            self.learned[model] = replace(now, not_now=frozenset())
            new = remarks(replace(before, not_now=self._told.get(model, frozenset())), now)
            self._told[model] = self._told.get(model, frozenset()) | now.not_now
        where = f"{self._host}, model '{model}'" if model else self._host
        for remark in new:
            _log.warning("%s: %s", where, remark)


class Attempt:
    """One request on its way, in the words that its server takes.

    Args:
        dialect: of the server.
        asked: the request.
    """

    def __init__(self, dialect: Dialect, asked: Request) -> None:
        self._dialect, self._asked = dialect, asked
        self._learned = self._known = dialect.learned.get(asked.model, NOTHING)
        self._n_tries = 0
        self.remedy: str | None = None
        """What helps against the last refusal, where it named a field and could not be met."""
        self._cuts = False
        """Whether we have to look ourselves for the texts at which the reply ends."""
        self.request = asked
        """What is to be sent."""
        if self._known is not NOTHING or asked.wording.drop:
            self._use(self._known)

    def _use(self, learned: Learned) -> None:
        self._learned = learned
        request = self._asked if learned == NOTHING else learned.put(self._asked)
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
            words = raw[:_MOST_WORDS].decode("utf-8", "replace")
            learned = self._learned.with_all_of(self._without_logprobs(words))
        self._n_tries += 1
        if learned is None or self._n_tries > _MOST_TRIES:
            return False
        self.remedy = None
        self._use(learned)
        return self.request != sent

    def _read(self, status: int, raw: bytes) -> Learned | None:
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

    @property
    def left_out(self) -> frozenset[str]:
        """Fields that were asked for, are not sent, and are not seen to here either."""
        dropped = self.request.wording.drop - _SEEN_TO
        return frozenset(name for name in dropped if value_of(self._asked, name) is not None)

    def accepted(self, reply: Response, *, n_alternatives: int = 0) -> Response:
        """The reply that came in the end; what had to be left out for it is remembered.

        Args:
            reply: that came.
            n_alternatives: likely tokens that its server told beside each one, asked for or not.
        """
        if n_alternatives > _FEW and self.request.logprobs and not self.request.n_logprobs:
            self._learned = self._learned.with_all_of(Learned(one_alternative=True))
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

    def _learn(self, refusal: Refusal, sent: Request) -> Learned | None:
        """What is known now; None where nothing can be done."""
        words, more = sent.wording, Learned()
        if refusal.most is not None:
            return self._learned.with_all_of(Learned(most_logprobs=refusal.most))
        for name in refusal.names:
            if name == words.max_tokens_field:
                more = more.with_all_of(self._other_limit(name, refusal.instead))
            elif name in _LOGPROBS and sent.logprobs and not sent.n_logprobs:
                more = more.with_all_of(self._without_logprobs(refusal.words))
            elif name not in _MEANING | words.kept:
                more = more.with_all_of(self._without(name, refusal))
        if more == Learned() and refusal.system and words.system_as != "user":
            then: SystemAs = "system" if words.system_as == "developer" else "user"
            more = Learned(system_as=((words.system_as, then),))
        if more == Learned():
            return None
        return self._learned.with_all_of(more)

    def _without(self, name: str, refusal: Refusal) -> Learned:
        """That a field is left out: of all requests, at its value, or beside the rest of this."""
        asked = self._asked
        scope = scope_of(refusal.words, name, value := value_of(asked, name), model=asked.model)
        if name == "top_p" and scope == "value" and asked.temperature == 0:
            scope = "request"  # nothing is drawn there: at other temperatures it may be taken
        if scope == "field":
            return Learned(drop=frozenset({name}))
        if scope == "value":
            return Learned(not_at=((name, written(value)),))
        if speaks_of_turns(refusal.words):
            return Learned(not_now=frozenset({name}))
        return self._beside(name, refusal.words)

    def _without_logprobs(self, words: str) -> Learned:
        """That nothing is told of tokens: ever, or beside the rest of this request."""
        if scope_of(words, "logprobs", True, model=self._asked.model) == "request":
            return self._beside("logprobs", words)
        return Learned(no_logprobs=True)

    def _beside(self, name: str, words: str) -> Learned:
        """That a field is left out of requests that are like this one, as far as words say."""
        valued = depends_on(words, fields_of(self._asked))
        return Learned(not_beside=((name, valued, signature(self._asked, valued)),))

    def _other_limit(self, name: str, instead: str | None) -> Learned:
        """Another name for the limit; nothing where all that are known were tried."""
        tried = {name for pair in self._learned.renamed for name in pair} | {name}
        likely = (instead, "max_completion_tokens", "max_tokens")
        new = next((other for other in likely if other and other not in tried), None)
        return Learned() if new is None else Learned(renamed=((name, new),))


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


def _check(name: str | None, words: Wording) -> str | None:
    """What helps where a server takes a field, and not its value."""
    if name is None:
        return None
    if name in words.kept:
        return f"check '{name}' in extra_body in the pool file"
    setting = "max_tokens" if name == words.max_tokens_field else _SETTINGS.get(name)
    return (
        f"check '{shown(name)}' of the request"
        if setting is None
        else f"check {setting} of the member"
    )


def _remedy(refusal: Refusal, words: Wording) -> str | None:
    for name in refusal.names:
        if name in words.kept:
            return f"take '{name}' out of extra_body in the pool file"
        if name == words.max_tokens_field or name in _REMEDY:
            return _REMEDY.get(name, _REMEDY["max_tokens"])
        return f"this model does not take '{shown(name)}'; leave it out of the request"
    return "leave the system's words out" if refusal.system else None


def _before_first(text: str, stops: tuple[str, ...]) -> str:
    found = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    return text[: min(found)] if found else text
