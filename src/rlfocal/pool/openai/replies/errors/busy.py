"""Whether a server only has no room just now, by its words: it loads its model, its queue is full.

Such a server has done nothing for a request: it is to be waited for, and sends no bill. One that
has failed at loading is not busy, it is broken.
"""

from __future__ import annotations

from collections.abc import Collection

from rlfocal.pool.openai.replies.errors.words import pattern

__all__ = ["is_busy"]

_ALWAYS = {425, 498, 529}
"""Statuses that say nothing else: too early, Groq's flexible tier, Anthropic's overload."""
_STATUSES = {*_ALWAYS, 503}
_WORDS = pattern(
    r"\b(?:model|server|engine|weights|checkpoint)\b[^.]{0,80}\b(?:is|are|being|still|currently) "
    r"(?:still |currently |being )*(?:load(?:ing|ed)|initiali[sz]ing|starting|warming)|"
    r"\bloading (?:the |a )?(?:model|weights|checkpoint)|\bmodel loading|"
    r"\b(?:warming|starting|spinning|scaling|booting) up\b|\bcold start|"
    r"\b(?:not|isn't) (?:yet |quite )?ready\b|"
    r"\bno (?:free |idle |available |more )*(?:slots?|workers?|replicas?|instances?|capacity)\b|"
    r"\b(?:queue|backlog|buffer|slots?|workers?)\b[^.]{0,30}\b(?:full|busy|exhausted|taken|in use)|"
    r"\b(?:over|at|beyond|exceed(?:s|ed|ing)?|out of|insufficient|not enough|lacks?|limited) "
    r"(?:its |the |full |max(?:imum)? |our |current |compute |model |gpu |server )*capacity|"
    r"\boverloaded|\bover(?:load| capacity)\b|\b(?:too|is|are|currently|very) busy\b|"
    r"\bserver busy\b|\b(?:high|heavy|peak) (?:demand|load|traffic)\b|"
    r"\bmax(?:imum)? (?:number of )?(?:pending|queued|concurrent|waiting) requests|"
    "繁忙|过载|正在加载|加载中|排队"
)
_CODES = ("overloaded", "overload", "loading", "capacity", "busy", "queue_full", "not_ready")
_BROKEN = pattern(
    r"\b(?:fail(?:ed|ure|s)?|error|unable|cannot|can't|could ?n[o']t) (?:\w+ ){0,3}?load|"
    r"\bload(?:ing)?\b[^.]{0,60}\b(?:failed|failure|crashed|aborted)\b|\bout of memory\b"
)


def is_busy(status: int | None, words: str, codes: Collection[str] = ()) -> bool:
    """True where a server says that it has no room just now.

    Args:
        status: of HTTP, or one that it names in the body; None where there is none.
        words: its own.
        codes: its codes, in small letters.

    >>> is_busy(503, "Loading model"), is_busy(503, "error loading model"), is_busy(500, "loading")
    (True, False, False)
    """
    if (status is not None and status not in _STATUSES) or _BROKEN.search(words):
        return False
    if status in _ALWAYS:
        return True
    by_code = any(part in code for code in codes for part in _CODES)
    return by_code or _WORDS.search(words) is not None
