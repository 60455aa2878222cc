"""Takes secrets and prompts out of text that people will read.

Knows in which forms a secret turns up in errors and logs; knows nothing of HTTP or of LLMs.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, quote_plus

__all__ = ["Secret", "Withheld", "excerpt", "redact", "repeats"]

REDACTED = "[redacted]"

_BEARER = re.compile(r"(?i)\bbearer(?:\s|%20|\+)+[^\s\"',;]+")
_SHORTEST_BASE64 = 8
"""Fewer characters of base64 would be met by chance."""
_SHOWN = 200
"""Characters of a server's own message that an error repeats."""
_TELLING = 16
"""So many letters and digits in a row, shared with the prompt, are the prompt and no accident."""


class Secret:
    """A string that shows itself only to who asks for it: never in a repr, a log or a traceback."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The string itself."""
        return self._value

    def __repr__(self) -> str:
        return REDACTED


class Withheld:
    """Passes pieces of a text on, but never a secret, though it come in pieces.

    Args:
        tell: is told of what may be told.
        secret: not empty.
    """

    def __init__(self, tell: Callable[[str], None], secret: str) -> None:
        self._tell, self._secret = tell, Secret(secret)
        self._held, self._met = "", False

    def __call__(self, piece: str) -> None:
        """Take a piece; once the secret was met, nothing more is told."""
        text, secret = self._held + piece, self._secret.reveal()
        self._met = self._met or secret in text
        if self._met:
            return
        n = next(k for k in range(len(secret) - 1, -1, -1) if text.endswith(secret[:k]))
        self._held = text[len(text) - n :]
        if told := text[: len(text) - n]:
            self._tell(told)

    def end(self) -> None:
        """Nothing more comes: what was held back is no secret."""
        held, self._held = self._held, ""
        if held and not self._met:
            self._tell(held)


def redact(text: str, secrets: Iterable[str]) -> str:
    """Remove secrets from a text, and whatever follows the word Bearer.

    Args:
        text: what will be shown.
        secrets: strings to remove, as they are and as URL, base64, JSON and repr write them; empty
            ones are passed over.

    Returns:
        The text with each find replaced by "[redacted]".

    >>> redact("GET /?key=a%2Fb1 with Bearer xyz", ["a/b1"])
    'GET /?key=[redacted] with Bearer [redacted]'
    """
    forms = {form for secret in secrets if secret for form in _forms(secret)}
    if forms:
        # The longest first: the plain secret may be the beginning of its padded or quoted form.
        longest = sorted(forms, key=lambda form: (-len(form), form))
        text = re.sub("|".join(map(re.escape, longest)), REDACTED, text)
    return _BEARER.sub(f"Bearer {REDACTED}", text)


def excerpt(text: str, secrets: Iterable[str], *, prompt: str) -> str:
    """A server's own words on one line, as far as they are fit to be shown.

    Args:
        text: what it said.
        secrets: strings that must not be shown, in any form.
        prompt: what it was asked, which must not be shown either.
    """
    text = " ".join(redact(text, secrets).split())
    if repeats(text, prompt):
        return "left out: it repeats the prompt"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def repeats(text: str, prompt: str) -> bool:
    r"""Say whether a text repeats a prompt or a good piece of it, however it is quoted.

    Servers' error messages may hold the request they refuse. Only letters and digits are compared,
    since quoting changes the rest.

    >>> repeats("invalid input: 'Who wrote\\nFaust?'", "Who wrote\nFaust?")
    True
    >>> repeats("maximum context length is 4096 tokens", "Who wrote\nFaust?")
    False
    """
    shown, asked = _squeezed(text.replace("\\n", " ").replace("\\t", " ")), _squeezed(prompt)
    if len(asked) <= _TELLING:
        return bool(asked) and asked in shown
    return any(shown[i : i + _TELLING] in asked for i in range(len(shown) - _TELLING + 1))


def _squeezed(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    yield secret
    for form in (quote(raw), quote(raw, safe=""), quote_plus(raw)):
        yield form
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form)
    yield repr(secret)[1:-1]
    yield repr(raw)[2:-1]
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode()
        # Within a longer text ("user:secret") it starts at any of three places of a group; the
        # characters that it shares with its neighbours are left out.
        for shift in range(3):
            inner = encode(b"\0" * shift + raw).decode().rstrip("=")
            start = (0, 2, 3)[shift]
            end = (shift + len(raw)) * 8 // 6
            if end - start >= _SHORTEST_BASE64:
                yield inner[start:end]
