r"""A short text, compared as question answering benchmarks do, but without losing what tells apart.

Sources: SQuAD's normaliser (its official evaluation script: lower case, articles, punctuation,
single spaces) and the line behind "the answer is" (BIG-Bench Hard, as in lm-evaluation-harness's
bbh tasks).

Departures:
- SQuAD drops every punctuation mark and article, so that C++ is C, -50 is 50, 3.5 is 35 and the
  blood group A nothing; here only what stands around an answer goes (final stops, quotes, emphasis,
  commas between words), and an article only where it introduces another word;
- behind a mark an explanation is cut ("yes, since it rains"), and an answer that begins with yes,
  no, true or false is that word;
- the last mark counts, not the first, because reasoning ends on its conclusion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from rlfocal.records.answers.replies.cleaning import even, plain, without_thinking
from rlfocal.records.answers.replies.markers import WORDS, Mark, marks
from rlfocal.records.answers.replies.settling import SEVERAL, Rules, is_refusal

__all__ = ["TextExtractor", "canonical_text"]

MAX_CHARS = 1000
"""A longer text is prose, no answer."""
MAX_PASSES = 10
SHORT_WORDS = 6
"""The first or last line of a longer reply is its answer if it has no more words."""

_SIMPLE = re.compile(r"[A-Za-z0-9]+(?:[ -][A-Za-z0-9]+)*|-?[0-9]+(?:[./][0-9]+)*")
_WORDS_OF_THEIR_OWN = frozenset({"yes", "no", "(a)", "(b)", "(c)", "(d)", "(e)"})
_SPECIAL = re.compile(rf"\b(?:an?|the|yes|no)\b|^(?:it|that) |{'|'.join(map(re.escape, WORDS))}")
_FUNCTION_WORDS = frozenset({
    "and", "or", "of", "with", "in", "on", "is", "are", "was", "for", "to", "as", "by", "at",
    "from", "not", "like", "than", "into", "nor", "but", "if", "be",
})  # fmt: skip
_BINARY = re.compile(
    r"""(?x)
    ( yes | no | true | false ) (?: [,;:!] | \s-+\s | \s*— | \.(?=\s+[a-z]) ) \s* \S
    | ( yes | no )\s (?: it | they | he | she | there | this | that | we | you | i ) (?: \s | ' )
    """
)
_QUOTES = (('"', '"'), ("'", "'"), ("(", ")"), ("[", "]"), ("{", "}"), ("$", "$"), ("*", "*"))
_BOXED = re.compile(r"\\(?:boxed|fbox)\s?\{([^{}]*)\}")
_THOUSANDS = re.compile(r"(?<![\w.,])([1-9][0-9]{0,2}(?:,[0-9]{3})+)(?![0-9,])")
_LISTED = re.compile(r"(?<=[0-9]),(?=[-+]?[0-9])")
"""Between the numbers of a list that is written without blanks."""
_COMMA = re.compile(r"[,;](?=\s)")
_EDGES = " \t\n,;:"
_CLAUSE = re.compile(
    r"""(?xi)
    ,? \s+ (?: because | since | due[ ]to | given[ ]that | which | i[ ]hope | i[ ]think
      | as[ ](?: it | the | they | he | she | this | that | there | we | you | i )
      | so[ ](?: it | the | they | he | she | this | that | we | you | i )
      | weil | da | denn | parce[ ]que | car | porque | ya[ ]que ) \b
    | ,\s (?: not | rather[ ]than | instead[ ]of | as[ ]opposed[ ]to | in | near | located | where
      | who | whose | when ) \s
    | ;\s+ (?: it | this | that | he | she | they | there | the | because | since | as | i ) \b
    | ,? \s* 因为 | \s+ (?: --? | — ) \s+ (?=[a-z]) | \s\(
    """
)
_NO_ANSWER = re.compile(
    r"(?:not enough|insufficient|no (?:correct|valid|right)) \w+$|cannot be determined$",
    re.IGNORECASE,
)
"""An answer of its own, where benchmarks have it as a label."""
_IT_IS = re.compile(r"^(?:it|that)(?:'s| is| was| would be) (?!not\b|an?\b)(?=\S+(?: \S+){0,3}$)")
_IS_ANSWER = re.compile(
    r"^(?:(?:therefore|thus|so|hence),? )?(\S.*?) (?:is|would be) (?:(?:the|my) )?"
    r"(?:(?:final|correct|right|best) )?answer$"
)
_STOP = re.compile(r"[.!?](?=[\"'*)]*(?:\s|$))|。")
_STARTERS = re.compile(
    r"\s+(?:it|this|that|the|these|those|because|since|i|we|he|she|they|there|so|in|as|my|you|a|an|"
    r"here|both|note|thus|therefore|hence|for|when|if|explanation|let|hope|wait|but|however)\b",
    re.IGNORECASE,
)
_SHORTENED = frozenset({
    "mr", "mrs", "ms", "dr", "st", "jr", "sr", "prof", "no", "vs", "mt", "ft", "lt", "gen", "col",
    "capt", "inc", "ltd", "co", "corp", "etc", "e.g", "i.e", "ca", "nr",
})  # fmt: skip


@dataclass(frozen=True)
class TextExtractor(Rules):
    """Exact text.

    Attributes:
        normalise: bring case, articles and outer punctuation to one form. Without it only white
            space is evened out, for answers that are punctuation (BIG-Bench Hard's
            dyck_languages) or whose case counts.

    >>> TextExtractor().extract("Let's see. So the answer is The  Eiffel Tower.")
    'eiffel tower'
    """

    normalise: bool = True
    has_blanks: ClassVar[bool] = True

    def read(self, answer: str) -> str | None:
        """Return the canonical form of a text that is an answer as a whole.

        None for an empty one, for more than `MAX_CHARS` characters, and for replies: texts with
        thinking, a mark of the answer, or a short line of its own first or last.
        """
        for _ in range(MAX_PASSES):
            form = self._once(answer)
            if form is None or form == answer:
                return form
            answer = form  # taking something off may uncover more
        return None

    def _once(self, answer: str) -> str | None:
        if len(answer) > MAX_CHARS:
            return None
        if self.normalise:
            low = answer.lower()
            if low in _WORDS_OF_THEIR_OWN or (
                _SIMPLE.fullmatch(answer) and not _SPECIAL.search(low)
            ):
                return low
        if without_thinking(answer) != answer:
            return None
        text = plain(even(answer)).strip() if self.normalise else answer.strip()
        if _BOXED.search(text) or marks(text) or _line(text) is not None:
            return None
        return self._canonical(text)

    def extract(self, text: str, *, truncated: bool = False) -> str | None:
        """Return the canonical text; None when nothing is left or it is too long."""
        found = super().extract(text, truncated=truncated)
        return None if found is None else self.read(found)

    def behind(self, mark: Mark) -> str | None:
        """Return the text behind a mark, without what explains it."""
        rest = mark.rest.strip()
        if not mark.is_whole:
            rest = rest.partition("\n")[0].strip()
            if mark.sort == "words" and self.normalise:
                clause = _first_clause(rest)
                if is_refusal(rest) and not _NO_ANSWER.match(clause):
                    return SEVERAL
                rest = clause
        return self._canonical(rest)

    def last_resort(self, text: str) -> str | None:
        """Return the first or last line where one is short, else the whole text."""
        if (line := _line(text)) is not None:
            return self._canonical(line)
        return self._canonical(text) if len(text) <= MAX_CHARS else None

    def _canonical(self, text: str) -> str | None:
        if not self.normalise:
            return " ".join(text.split()).rstrip(". ") or None
        return canonical_text(text)


def canonical_text(text: str) -> str | None:
    """Bring a short cleaned text to one form.

    Returns:
        The form, which this function leaves unchanged; None where nothing is left.

    >>> canonical_text('"The Eiffel  Tower."'), canonical_text("(A)"), canonical_text("Hepatitis A")
    ('eiffel tower', '(a)', 'hepatitis a')
    """
    for _ in range(MAX_PASSES):
        following = _stripped(text)
        if following == text:
            return text or None
        text = following
    return None


def _stripped(text: str) -> str:
    text = _BOXED.sub(r"\1", even(" ".join(text.split())).lower()).strip(_EDGES)
    if text.endswith("."):
        text = text.rstrip(".")
    if text.endswith("!") and text[-2:-1].isalpha():
        text = text.rstrip("!")
    for left, right in _QUOTES:
        inner = text[1:-1]
        if (
            len(text) > 2
            and text[0] == left
            and text[-1] == right
            and not (left in inner or right in inner or (left in "([{" and len(inner) < 3))
        ):
            text = inner.strip()
    if head := _BINARY.match(text):
        return head[1] or head[2]
    if text.startswith(("it", "that")):
        text = _IT_IS.sub("", text, count=1)
    if text.endswith(" answer"):
        text = _IS_ANSWER.sub(r"\1", text)
    text = _THOUSANDS.sub(lambda n: n[1].replace(",", ""), text)
    text = _COMMA.sub("", _LISTED.sub(" ", text))
    return " ".join(_without_articles(text.split()))


def _without_articles(words: list[str]) -> list[str]:
    kept: list[str] = []
    for place, word in enumerate(words):
        following = words[place + 1] if place + 1 < len(words) else ""
        if word == "the" and (following or kept):
            continue
        is_first = not kept or kept[-1] in _FUNCTION_WORDS
        if (
            word in ("a", "an")
            and is_first
            and len(following) > 1
            and following not in _FUNCTION_WORDS
        ):
            continue
        kept.append(word)
    return kept


def _line(text: str) -> str | None:
    """The first or last line of a text of several lines, where it is short enough for an answer."""
    if "\n" not in text:
        return None
    lines = text.strip().split("\n")
    for line in (lines[0].strip(), lines[-1].strip()):
        if line and not line.endswith(":") and len(line.split()) <= SHORT_WORDS:
            return line
    return None


def _first_clause(text: str) -> str:
    """Cut what explains an answer: a reason, a remark in brackets, the next sentence."""
    for stop in _STOP.finditer(text):
        word = text[: stop.start()].rpartition(" ")[2].lower().lstrip("(\"'")
        is_short = (len(word) == 1 and word.isalpha()) or word in _SHORTENED or "." in word
        if stop[0] == "." and is_short and not _STARTERS.match(text, stop.end()):
            continue
        text = text[: stop.start()] if stop[0] in ".。" else text[: stop.end()]
        break
    clause = _CLAUSE.search(text, 1)
    return text if clause is None else text[: clause.start()]
