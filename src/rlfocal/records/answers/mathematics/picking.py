r"""Where the answer stands in a reply.

In this order: the last \boxed{...} or \fbox{...} (Hendrycks et al., MATH, arXiv:2103.03874,
`last_boxed_only_string`), boxes joined by "and" or "or" together; a text that is nothing but an
answer; what follows the last "answer is" or "Answer:" (Minerva); bold text that the last line ends
on; the last formula; of the last line, without what merely explains ("which is 4 more than 20"), an
expression behind a verb or the last number. A box that does not close was cut off, so the reply has
no answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rlfocal.records.answers.replies.cleaning import without_thinking
from rlfocal.records.answers.replies.markers import first_reply, marks
from rlfocal.records.answers.replies.settling import is_refusal

__all__ = ["MAX_CHARS", "WORDS", "picked", "unquoted"]

MAX_CHARS = 500
"""A longer expression is prose, no answer."""

MAX_LINE = 300
"""A longer last line is no conclusion."""

_BOX = re.compile(r"\\(?:boxed|fbox)\s*(\{|[^\s{}$])")
_BETWEEN_BOXES = re.compile(
    r"""(?x)
    (?: \$ | \\[)\]] )* \s* [,;]? \s*
    (?: and | or | \\text\{ \s* (?: and | or ) \s* \} )? \s*
    (?: \$ | \\[(\[] )* \s*
    (?: [a-zA-Z] (?: _ (?: [0-9] | \{[0-9]+\} ) )? \s* = \s* )?  # the name of the next
    """
)
_STARS = re.compile(r"\*\*(?![0-9])|(?<=[.0-9$})])\*\*(?=[\s.,]|$)")
_BOLD = re.compile(r"[a-z,:=][ ]\*\*([^\s*:][^*:\n]{0,40})\*\*[.!]?\Z")
_BOLD_NUMBER = re.compile(r"\*\*(\$?-?[0-9][0-9.,/]*(?:\\?%)?(?: [a-zA-Z]+)?)\*\*")
_DELIMITER = re.compile(r"(?<!\\)\\[()\[\]]|\$\$|(?<!\\)\$")
_CLOSER = {"$": "$", "$$": "$$", r"\(": r"\)", r"\[": r"\]"}
_MARKUP = re.compile(rf"{_DELIMITER.pattern}|{_BOX.pattern}|</|<\|")
_QUANTITY = re.compile(r"[-+$]?[0-9][0-9.,/]*(?: (?!and|or|but|so|is|not)[a-zA-Z]+){1,3}")
_PROSE_IN_MATH = re.compile(r"(?<![\\a-zA-Z{])[a-zA-Z]{3,} [a-zA-Z]{2,}")
_TEXT = re.compile(r"\\(?:text|mbox|mathrm|textbf)\s*\{[^{}]*\}")
WORDS = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{2,}")
"""Letters that are neither a variable nor a command."""
_SENTENCE_END = re.compile(
    r"""(?x)
    [.!?] (?: \s | [*"')] | $ ) | \n | ;[ ]
    | ,?\s\(? (?: because | since | as | which | where | so[ ]that | when | if | not | rather
      | instead | but ) \b
    """
)
_RULED_OUT = re.compile(r"\b(?:not|rather than|instead of|unlike|than)\s*\Z")
_CONNECTED = re.compile(r"\s*(?:,|;|and|or|, and|, or)?\s*")
_TRAILING = re.compile(r"\s*(\\?%|[a-zA-Z]+(?:[ /^][a-zA-Z0-9]+){0,3})?[\s.*]*")
_NO_UNITS = frozenset({
    "because", "since", "as", "which", "where", "so", "when", "if", "for", "and", "or", "but",
    "is", "by", "at", "to",
})  # fmt: skip
_NUMBER = re.compile(
    r"""(?x)
    \( [^()]{0,40} [\u221a\u03c0] [^()]{1,40} \) [ ]? / [ ]? [0-9]{1,9}        # (1 + √5)/2
    | (?<! [\w.)] ) [-\u2212]? (?: [0-9]{1,9} [ ]? [-+] [ ]? )?                # 1 - 2√3, 5π/6
      (?: [0-9]{1,9} (?: \.[0-9]{1,9} )? [ ]? \*? [ ]? )?
      (?: \u221a (?: [0-9]+ | \([^()]{1,50}\) ) | sqrt\([^()]{1,50}\) | \\sqrt\{[^{}]{1,50}\}
        | \u03c0 | \\?pi\b )
      (?: [ ]? / [ ]? [0-9]{1,9} )?
    | (?<! [\w.)] ) [-+\u2212]? \\? \$? [0-9][0-9,]* (?: \.[0-9]+ )?           # -1,200.5, 3/4, 50 %
      (?: \s? / \s? [0-9]+ | \s? \\? % | \u00b0 )?
    | \$? [0-9][0-9,]* (?: \.[0-9]+ )? (?: /[0-9]+ | \\?% )?
    | -? \\[dt]?frac \{[^{}]{1,50}\} \{[^{}]{1,50}\}
    | [(\[] [-0-9./\ ]{1,30} (?: , [-0-9./\ ]{1,30} ){1,3} [)\]]               # (1, 2)
    """
)
_VERB = re.compile(
    r"\b(?:is|are|equals?|be|get|obtain|gives?|yields?|at)\s+(?:also\s+|just\s+)?", re.I
)
_PROSE = re.compile(r"(?<![a-zA-Z])(?!(?:sqrt|sin|cos|tan|log|and)(?![a-zA-Z]))[a-zA-Z]{2,}")
_OPERATOR = re.compile(r"[0-9a-z)] ?[-+*/^=<>:,] ?[-0-9a-z(]|\band\b")
_ASIDE = re.compile(
    r"""(?x)
    ,?[ ] \(? (?: because | since | i\.e\. | that[ ]is, | rather[ ]than | instead[ ]of
      | but[ ](?: I | not ) | not
      | which[ ](?: is | are | was | were | means )
        (?! [ ]\S*[0-9]\S* (?: [ ][a-zA-Z%]+ ){0,2} [.!]? \Z )  # "which is 8 apples."
    ) (?= [ '] )
    """
)
_CONCLUSION = re.compile(r"\b(?:so|thus|hence|therefore|total|get|left|altogether)\b|=", re.I)


def picked(text: str, *, truncated: bool = False) -> str | None:
    """The part of a reply that is its answer; None where there is none or it is too long.

    Of a reply that was cut off only an answer counts that is marked as one and complete.
    """
    if truncated:
        return _complete(text)
    text = unquoted(text)
    if _is_answer(text):
        return text.strip() or None
    spoken = without_thinking(text)
    if spoken is None:
        return None
    bold = _bold(spoken)
    whole = unquoted(_STARS.sub("", spoken))
    if _is_answer(whole):
        return whole or None
    spoken = first_reply(whole, marks(whole), _is_answer)
    boxed = _boxed(spoken)
    if boxed is not None:
        return boxed if len(boxed) <= MAX_CHARS else None
    found = _marked(spoken)
    if found is None and spoken == whole:
        found = bold
    if found is None:
        found = _last_formulas(spoken)
    if found is None:
        found = _concluded(spoken)
    return found if found is not None and len(found) <= MAX_CHARS else None


def _complete(text: str) -> str | None:
    spoken = without_thinking(text)
    if spoken is None:
        return None
    spoken = unquoted(_STARS.sub("", spoken))
    found = _boxed(spoken) or _marked(spoken)
    # What the reply ends on may have been going on.
    if found is None or len(found) > MAX_CHARS or spoken.endswith(found):
        return None
    return found


def unquoted(text: str) -> str:
    """Without stars, code marks and quotes around all of it."""
    text = text.strip()
    while len(text) > 1 and text[0] in "*`\"'_" and text[-1] in text[0] + ".":
        text = text[1:].rstrip(".")[:-1].strip()
    return text


def _boxed(text: str) -> str | None:
    """Contents of the last box; "" when it does not close, None when there is none."""
    boxes = list(_BOX.finditer(text))
    if not boxes:
        return None
    contents, start = _contents(text, boxes[-1]), boxes[-1].start()
    for box in reversed(boxes[-8:-1]):
        inside = _contents(text, box)
        end = box.end() + (len(inside) + 1 if box[1] == "{" else 0)
        if not inside or end > start or not _BETWEEN_BOXES.fullmatch(text, end, start):
            break
        if not re.search("and|or|,", text[end:start]):
            break
        contents, start = f"{inside},{contents}", box.start()
    return contents


def _contents(text: str, box: re.Match[str]) -> str:
    if box[1] != "{":
        return _unbraced(text, box.start(1))
    depth = 1
    for position in range(box.end(), min(len(text), box.end() + MAX_CHARS + 1)):
        escaped = text[position - 1] == "\\" and text[position - 2] != "\\"
        depth += 0 if escaped else (text[position] == "{") - (text[position] == "}")
        if depth == 0:
            return text[box.end() : position]
    return ""


def _unbraced(text: str, start: int) -> str:
    found = re.compile(r"-?(?:[0-9.,]*[0-9]|\\[a-zA-Z]+|\S)").match(text, start)
    return found[0] if found else ""


def _bold(text: str) -> str | None:
    """What the last line ends on between stars, or a number there that stands between stars."""
    line = text.rstrip()[-MAX_LINE:].rpartition("\n")[2]
    found = _BOLD.search(line)
    if found is None and not _DELIMITER.search(line):
        found = next(reversed(list(_BOLD_NUMBER.finditer(line))), None)
    return found[1].strip(" .$") or None if found else None


def _is_answer(text: str) -> bool:
    """Whether a text is nothing but an answer: no blank outside of words that are marked so."""
    text = text.strip()
    if not text or len(text) > MAX_CHARS or _MARKUP.search(text):
        return False
    if _QUANTITY.fullmatch(text):
        return True
    bare = _TEXT.sub("", re.sub(r"(\\[a-zA-Z]+) ", r"\1", text))
    if not re.search(r"\s", bare):
        return True
    words = [w for w in WORDS.findall(bare) if w.lower() not in ("and", "or")]
    return not words and "\n" not in bare and "#" not in bare


def _marked(text: str) -> str | None:
    for mark in marks(text):
        if mark.sort != "box":
            found = _first_of(mark.rest.lstrip(" \t\r\n*_:"))
            if found:
                return found
    return None


def _first_of(rest: str) -> str | None:
    """The answer that a text begins with, or that its first sentence holds."""
    segments = list(_segments(rest))
    if segments and not rest[: segments[0][0]].strip(" *"):
        return _joined(rest, segments)
    end = _SENTENCE_END.search(rest)
    sentence = rest[: end.start()] if end else rest
    inside = [s for s in segments if s[1] <= len(sentence)]
    if inside and len(WORDS.findall(sentence[: inside[-1][0]])) > 0:
        return inside[-1][2]
    sentence = unquoted(sentence).strip(" *_`")
    if len(WORDS.findall(sentence)) > 6:
        return _last_number(sentence)
    return sentence or None


def _joined(rest: str, segments: list[tuple[int, int, str]]) -> str:
    """A formula, those that "and" or a comma connects with it, and the unit after it."""
    found, end = [segments[0][2]], segments[0][1]
    for start, stop, inside in segments[1:6]:
        if end == start or not _CONNECTED.fullmatch(rest, end, start):
            break
        found, end = [*found, inside], stop
    line = rest[end:].partition("\n")[0]
    unit = _TRAILING.fullmatch(re.split(r"[.,;](?:\s|$)", line, maxsplit=1)[0])
    if len(found) == 1 and unit and unit[1] and unit[1].split()[0] not in _NO_UNITS:
        return f"{found[0]} {unit[1]}"
    return ",".join(found)


def _segments(text: str) -> Iterator[tuple[int, int, str]]:
    """Every formula between its signs: where it begins, where it ends, what it holds."""
    opener: re.Match[str] | None = None
    for found in _DELIMITER.finditer(text):
        if opener is not None and found[0] == _CLOSER[opener[0]]:
            inside = text[opener.end() : found.start()]
            if inside.strip() and not (found[0] == "$" and _is_prose(inside)):
                yield opener.start(), found.end(), inside.strip()
                opener = None
                continue
            opener = found if found[0] in _CLOSER else None
        elif found[0] in _CLOSER and (opener is None or opener[0] != r"\["):
            opener = found


def _is_prose(inside: str) -> bool:
    # "$5 and I pay $6": a dollar sign before a digit, and a blank before the next one.
    return (
        "\n\n" in inside
        or (inside[0].isdigit() and inside[-1].isspace())
        or (len(inside) < 10 * MAX_CHARS and bool(_PROSE_IN_MATH.search(_TEXT.sub("", inside))))
    )


def _last_formulas(text: str) -> str | None:
    """The last formula that is not ruled out ("36, not 35"), and those that "and" joins to it."""
    found = [s for s in _segments(text) if len(s[2]) <= MAX_CHARS]
    while len(found) > 1 and _RULED_OUT.search(text[: found[-1][0]][-40:]):
        found.pop()
    if not found:
        return None
    start, _, last = found.pop()
    together = [last]
    while found and len(together) < 6:
        begin, end, inside = found.pop()
        between = text[end:start]
        if not between.strip() or not _CONNECTED.fullmatch(between):
            break
        together.append(inside)
        start = begin
    return ",".join(reversed(together))


def _concluded(text: str) -> str | None:
    """The answer that the last line of a reply without marks and formulas holds."""
    line = text.rstrip()[-MAX_LINE - 1 :].rpartition("\n")[2].strip()
    head = _without_aside(line)
    if not line or len(line) > MAX_LINE or is_refusal(head):
        return None
    found = _expression(line) or _last_number(head)
    if found is not None:
        return found
    return line if len(line.split()) <= 3 else None


def _last_number(sentence: str) -> str | None:
    """The last number, root or multiple of pi."""
    found = None
    for number in _NUMBER.finditer(sentence):
        found = number[0]
    return found


def _expression(line: str) -> str | None:
    """What stands behind the last verb, when that is a formula without its signs."""
    verbs = list(_VERB.finditer(line))
    if not verbs:
        return None
    tail = line[verbs[-1].end() :].strip().rstrip(".!")
    if "$" in tail or "\\" in tail or _PROSE.search(tail) or not _OPERATOR.search(tail):
        return None
    return tail


def _without_aside(line: str) -> str:
    """The line up to a remark on a number, unless a conclusion follows the remark."""
    found = _ASIDE.search(line)
    if found is None or not _last_number(line[: found.start()]):
        return line
    return line if _CONCLUSION.search(line, found.end()) else line[: found.start()]
