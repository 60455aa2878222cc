"""Takes secrets and prompts out of text that people will read.

Knows in which forms a secret turns up in errors and logs; knows nothing of HTTP or of LLMs.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote

__all__ = ["Secret", "Withheld", "excerpt", "is_telling", "redact", "repeats"]

REDACTED = "[redacted]"

_BEARER = re.compile(r"(?i)\bbearer(?:\s|%20|\+)+[^\s\"',;]+")
_SHORTEST_BASE64 = 8
"""Fewer characters of base64 would be met by chance."""
_SHOWN = 200
"""Characters of a server's own message that an error repeats."""
_TELLING = 16
"""So many letters and digits in a row, shared with the prompt, are the prompt and no accident."""
_OF_WORDS = 8
"""So many, and no word of something else holds them."""
_WORD = re.compile(r"[^\W_]+")
_MOST_READ = 1 << 14
"""Characters of a text that are looked at before it is cut to what is shown."""
_RUN, _RUN_WITH_DIGITS = 12, 8
"""So many characters in a row, shared with a secret, are a piece of it; words are met by chance
sooner than what holds a digit."""
_ESCAPED = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|[nrtbf])")


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
        """Take a piece; once the secret was met, nothing more is passed on."""
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

    A good piece of a secret is one, too: servers cut and break what they repeat, and change its
    case. The cost grows with the length of the text alone.

    Args:
        text: what will be shown.
        secrets: strings to remove, as they are and as URL, HTML, base64, JSON and repr write them;
            empty ones are passed over.

    Returns:
        The text with each find replaced by "[redacted]".

    >>> redact("GET /?key=a%2Fb1 with Bearer xyz", ["a/b1"])
    'GET /?key=[redacted] with Bearer [redacted]'
    >>> redact("no key SK-0123 456789...", ["sk-0123456789abcdef"])
    'no key [redacted]...'
    """
    forms = {form for secret in secrets if secret for form in _forms(secret)}
    if forms:
        # The longest first: the plain secret may be the beginning of its padded or quoted form.
        longest = sorted(forms, key=lambda form: (-len(form), form))
        text = re.sub("|".join(map(re.escape, longest)), REDACTED, text)
        for counts in (str.isalnum, _is_solid):
            text = _without_pieces(text, forms, counts)
    return _BEARER.sub(f"Bearer {REDACTED}", text)


def _without_pieces(text: str, forms: Iterable[str], counts: Callable[[str], bool]) -> str:
    """Remove what shares a run of the characters that count with a secret, whatever their case."""
    known = ["".join(_counting(form, counts)[0]) for form in forms]
    short = [form for form in known if _RUN_WITH_DIGITS <= len(form) < _RUN]
    n = _RUN_WITH_DIGITS
    grams = {form[i : i + n] for form in known for i in range(len(form) - n + 1)}
    parts = []
    for part in text.split(REDACTED):
        kept, places = _counting(part, counts)
        squeezed, at = "".join(kept), 0
        shown = []
        for start, end in _runs(squeezed, grams):
            run = squeezed[start:end]
            of_digits = any(map(str.isdigit, run))
            if of_digits or len(run) >= _RUN or any(form in run for form in short):
                shown.append(part[at : places[start]])
                at = places[end - 1] + 1
        parts.append(REDACTED.join([*shown, part[at:]]))
    return REDACTED.join(parts)


def _runs(text: str, grams: set[str]) -> Iterator[tuple[int, int]]:
    """Where a text is covered by strings of a set, all of one length: starts and ends."""
    n = _RUN_WITH_DIGITS
    start = end = -1
    for i in range(len(text) - n + 1):
        if text[i : i + n] not in grams:
            continue
        if i > end:
            if end >= 0:
                yield start, end
            start = i
        end = i + n
    if end >= 0:
        yield start, end


def _counting(text: str, counts: Callable[[str], bool]) -> tuple[list[str], list[int]]:
    """The characters that count, without their case, and where each of them stands."""
    found = [(c, at) for at, char in enumerate(text) if counts(char) for c in char.casefold()]
    return [c for c, _ in found], [at for _, at in found]


def _is_solid(char: str) -> bool:
    return char.isprintable() and not char.isspace()


def excerpt(text: str, secrets: Iterable[str], *, prompts: Collection[str]) -> str:
    """A server's own words on one line, as far as they are fit to be shown.

    Args:
        text: what it said, uncut: half a secret is harder to recognise.
        secrets: strings that must not be shown, in any form.
        prompts: what it was asked, text by text, which must not be shown either.
    """
    text = " ".join(redact(text[:_MOST_READ], secrets).split())
    if repeats(text, *prompts):
        return "left out: it repeats the prompt"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def repeats(text: str, *prompts: str) -> bool:
    r"""Say whether a text repeats a prompt or a good piece of it, however it is quoted.

    Servers' error messages may hold the request they refuse. Only letters and digits are compared,
    since quoting changes the rest. A prompt that is shorter than such a piece counts as a whole,
    each by itself: joined with others it would not be found. The shortest count as words of their
    own only, since "hi" is within "this". The cost grows with the sum of all lengths.

    >>> repeats("invalid input: 'Who wrote\\nFaust?'", "Who wrote\nFaust?")
    True
    >>> repeats("maximum context length is 4096 tokens", "Who wrote\nFaust?", "Hi")
    False
    """
    readings = {read.casefold() for read in _readings(text)}
    shown = {_squeezed(read) for read in readings}
    n = _TELLING
    grams = {read[i : i + n] for read in shown for i in range(len(read) - n + 1)}
    return any(_is_repeated(prompt, readings, shown, grams) for prompt in set(prompts))


def _is_repeated(prompt: str, readings: set[str], shown: set[str], grams: set[str]) -> bool:
    asked, n = _squeezed(prompt), _TELLING
    if len(asked) > n:
        return any(asked[i : i + n] in grams for i in range(len(asked) - n + 1))
    if not asked or not any(asked in read for read in shown):
        return False
    if len(asked) >= _OF_WORDS:
        return True
    # Only letters that write words with spaces between them can be within a longer word.
    words = r"[\W_]*".join(map(re.escape, _WORD.findall(prompt.casefold())))
    alone = re.compile(f"(?<![a-z0-9]){words}(?![a-z0-9])")
    return any(alone.search(read) is not None for read in readings)


def is_telling(text: str) -> bool:
    """Whether a text is long enough that whoever holds it repeats it, and not by accident."""
    return len(_squeezed(text)) >= _TELLING


def _readings(text: str) -> Iterator[str]:
    """A text without what JSON, URLs and HTML write for letters."""
    plain = _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else " ", text)
    yield plain
    yield unquote(plain)
    yield html.unescape(plain)


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
    yield html.escape(secret)
    yield raw.hex()
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
