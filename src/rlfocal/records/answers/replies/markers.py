r"""Where a reply says that its answer comes now.

Finds marks of an answer in a cleaned reply: words in some twenty languages ("the answer is",
"Antwort:", 答案是), `####` (GSM8K), `\boxed{...}` (MATH), `<answer>` tags, fields of JSON. Knows no
kind of answer: who reads them takes the last mark after which something of the kind stands.
Nothing here looks farther than `WINDOW` characters behind a mark, so all of it is linear.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

__all__ = ["WINDOW", "WORDS", "Mark", "first_reply", "marks", "settled"]

WINDOW = 1000
"""Characters behind a mark that are looked at; a longer answer is prose."""

MAX_REPEATS = 20
"""Times that a word counts at the beginning, and at the end, of a reply that repeats itself."""

Sort = Literal["box", "tag", "hashes", "words"]


class Mark(NamedTuple):
    """One mark and what stands behind it."""

    sort: Sort
    start: int
    """Where the mark begins."""
    end: int
    """Where the marked text ends, as far as that is marked too; else where it begins."""
    rest: str
    """What follows, at most `WINDOW` characters; of boxes and tags their content."""
    is_whole: bool
    """The mark says where its text ends (a closed box or tag)."""
    has_decimal_comma: bool = False
    """Its words are of a language that writes 12.500 for twelve thousand five hundred."""


_AFTER = re.compile(
    r"""(?xi)
    (?: s\b | \(s\) | en\b | nya\b | et\b )? ["'\]]* (?: \s? \( [^()\n]{0,40} \) )? ["']*
    # "to the question", "that I get"
    (?: \s(?: to | for | of | in | zu | auf | à | de | del | a )\s [^.:\n?!=]{1,100}?
      (?= \s(?: is | ist | est | es )\b | \s*: ) )?
    (?: \s(?: I | we | you | that | she | he | they )\s [^.:\n?!=]{1,40}? (?= \sis\b ) )?
    (?: \s* ,? \s* (?: choice | option | letter | number | value | here | then | therefore | thus
      | hence | so | finale? | correct[ae]? | correcte | richtige? | corretta | exacte | juste
      | donc | also | pues ) \b ,? )*
    (?P<sep> \s*
      (?: \s (?: is | was | are | would[ ]be | should[ ]be | must[ ]be | will[ ]be | has[ ]to[ ]be
          | equals | becomes | comes[ ](?: out[ ] )?to | turns[ ]out[ ]to[ ]be | ist | lautet | sind
          | w[äa]re | est | sera | serait | es | ser[íi]a | son | è | é | är | blir | jest | je | là
          | adalah | is[ ]gelijk[ ]aan ) \b (?: \s*: )?
        | [应應] (?: 该 | 該 )? (?: 是 | 为 | 為 | 选 | 選 ) | (?: 就 )? 是 | [为為] | [选選]
        | は | が | 은 | 는
        | [:|] | ={1,2}>? | → | -+> | — | - (?= \s | [A-Z]\b | \( ) | \n ) )
    """
)
_HINT = re.compile(
    r"""(?xi)
    [\s:]*
    (?: (?: therefore | thus | hence | then | so | indeed | clearly | simply | just | also | donc
        | alors ) \b ,? \s*
      | (?: therefore | thus )? \s* : \s* | = (?=[^=]) \s* )*
    """
)
_NEGATED = re.compile(
    r"""(?xi)
    \s* (?: not\b (?! \s(?: enough | given | mentioned | stated | specified | applicable | available
          | plausible | entail | provided | supported )\w* )
      | n't\b | never\b | neither\b | unlikely | incorrect\b | wrong\b | nicht\b | pas\b
      | unclear\b | 不是 | 不 )
    """
)
WORDS = (
    "answer", "antwort", "réponse", "reponse", "respuesta", "risposta", "resposta", "antwoord",
    "svar", "odpowiedź", "odpověď", "ответ", "cevap", "đáp án", "jawaban", "答案", "答え", "正解",
    "回答", "解答", "정답", "답", "उत्तर", "উত্তর",
    "సమాధానం", "คำตอบ", "jibu", "پاسخ", "תשובה", "vastaus", "απάντηση", "răspuns", "válasz",
    "відповідь", "الإجابة", "الجواب", "final result", "final solution",
    "final value", "final total", "final choice", "final amount", "correct option",
    "correct choice", "correct statement", "right option", "right choice", "best option",
    "best choice", "endergebnis", "résultat final", "resultado final", "正确选项",
    "正确的选项", "正确的是", "正确选择", "最终结果",
)  # fmt: skip
"""Behind which an answer may follow, in lower case."""
_CONTINENTAL = frozenset({
    "antwort", "réponse", "reponse", "respuesta", "risposta", "resposta", "antwoord", "svar",
    "odpowiedź", "odpověď", "ответ", "cevap", "jawaban", "endergebnis", "vastaus", "răspuns",
    "válasz", "відповідь",
})  # fmt: skip
_BUT = re.compile(r"\s*not\s[^.\n]{1,60}?,?\s(?:but|rather|instead)\s(?:rather\s)?", re.IGNORECASE)
_JSON_VALUE = re.compile(
    r"""(?x)
    \s* " ( (?: [^"\\\n] | \\. )* ) " \s* (?= [,}\n] | $ )
    """
)
_HASHES = re.compile(r"#{4,}[ \t]*(?=[^\s#])")
_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?:\{|(?=[^\s{}]))")
_TURN = re.compile(
    r"""(?x)
    (?: ^ | \n ) [ \t]*
    (?: A [ \t]* : | (?: Ans | ANS | ans ) (?: \. | [ \t]*[:=] ) ) (?= [ \t]*\S )
    """
)
_OTHER_OPTION = re.compile(r"(?:^|\n)[ \t]*B[ \t]*[:).]")
_TAG = re.compile(r"<((?:final_?)?answer|output|final|result)>", re.IGNORECASE)
_HEAD = re.compile(
    r"""(?xi)
    \n[ \t]* (?: [#>*-]+ [ \t]* )*
      (?: new[ ] | next[ ] | another[ ] )?
      (?: question | problem | exercise | input | q | human | user | instruction | student | frage
        | aufgabe | pregunta | domanda | вопрос | 问题 | 题目 | 質問 | 问 )
      [ \t]* (?: \#?[0-9]{1,4} | \([^()\n]{0,20}\) )? [ \t]* \** [ \t]* [:.]
    | \n[ \t]* (?: \#{1,6} | \*\* ) [ \t]*
      (?: question | problem | exercise ) [ \t] \#?[0-9]{1,4} \b
    """
)
_HEADED = 200
"""Characters before a question that are looked at as an answer of their own, at most."""
_BRACE = re.compile(r"[{}]")
_SENTENCE_END = re.compile(r"[.!?。](?=\s)|\n|\}|</\w+>|。")
_WORD_END = re.compile(r"(?=\s)|\}|</\w+>|。")


def marks(text: str) -> list[Mark]:
    """Find all marks.

    Args:
        text: cleaned (`cleaning.clean`).

    Returns:
        The marks, the last one first.
    """
    found = [*_worded(text), *_turns(text), *_hashed(text), *_boxed(text), *_tagged(text)]
    found.sort(key=lambda mark: (mark.start, mark.end), reverse=True)
    return found


def _worded(text: str) -> Iterator[Mark]:
    low = text.lower()
    if len(low) != len(text):
        low = text  # no letter does so once the text is evened; places must agree
    for word in WORDS:
        places = []
        place = low.find(word)
        while place >= 0:
            places.append(place)
            place = low.find(word, place + len(word))
        if len(places) > 2 * MAX_REPEATS:
            places = places[:MAX_REPEATS] + places[-MAX_REPEATS:]
        for place in places:
            if (mark := _word(text, place, place + len(word))) is not None:
                yield mark


def _word(text: str, start: int, end: int) -> Mark | None:
    if start and text[start - 1].isascii() and text[start - 1].isalnum():
        return None  # inside of another word
    after = _AFTER.match(text, end, end + 200)
    if after is None:
        return None
    rest = text[after.end() : after.end() + WINDOW]
    if _NEGATED.match(rest):
        instead = _BUT.match(rest)
        if instead is None:
            return None
        place = after.end() + instead.end()
        return Mark("words", start, place, text[place : place + WINDOW], False)
    if text[end : end + 1] == '"' and (value := _JSON_VALUE.match(rest)) is not None:
        return Mark("words", start, after.end() + value.end(), value[1], True)
    hint = _HINT.match(rest)
    place = after.end() + (hint.end() if hint else 0)
    is_continental = text[start:end].lower() in _CONTINENTAL
    return Mark("words", start, place, text[place : place + WINDOW], False, is_continental)


def _turns(text: str) -> Iterator[Mark]:
    """The answers of "Q: ... A: ...", unless that is a list of options."""
    if not ("ns" in text or "NS" in text or ":" in text) or _OTHER_OPTION.search(text):
        return
    for found in _TURN.finditer(text):
        rest = text[found.end() : found.end() + WINDOW]
        yield Mark("words", found.start(), found.end(), rest, False)


def _hashed(text: str) -> Iterator[Mark]:
    if "####" in text:
        for found in _HASHES.finditer(text):
            rest = text[found.end() : found.end() + WINDOW].partition("\n")[0]
            yield Mark("hashes", found.start(), found.end(), rest, False)


def _boxed(text: str) -> Iterator[Mark]:
    if "box" not in text:
        return
    for found in _BOX.finditer(text):
        if not found[0].endswith("{"):
            rest = text[found.end() : found.end() + WINDOW].split(maxsplit=1)[:1]
            yield Mark("box", found.start(), found.end(), "".join(rest), False)
        elif (end := _closing(text, found.end())) is not None:
            yield Mark("box", found.start(), end, text[found.end() : end], True)


def _closing(text: str, start: int) -> int | None:
    """Where the brace before `start` is closed; None where it is not, within the window."""
    depth = 1
    for brace in _BRACE.finditer(text, start, start + WINDOW):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.start()
    return None


def _tagged(text: str) -> Iterator[Mark]:
    if "<" not in text:
        return
    for found in _TAG.finditer(text):
        rest = text[found.end() : found.end() + WINDOW]
        closed = re.search(rf"</{found[1]}>", rest, re.IGNORECASE)
        content = rest[: closed.start()] if closed else rest.partition("<")[0]
        yield Mark("tag", found.start(), found.end() + len(content), content, closed is not None)


def first_reply(text: str, found: Sequence[Mark], reads: Callable[[str], object]) -> str:
    r"""Cut a reply where the model begins to ask itself the next question.

    Models without a chat template go on with what follows an answer in a few-shot prompt.

    Args:
        text: cleaned.
        found: its marks, the last one first.
        reads: gives something true for a short text that is an answer.

    Returns:
        What stands before the next question, if it holds a mark with something behind it, or is an
        answer as a whole; a reply may begin by repeating its question, which ends nothing.

    >>> reply = "#### 18\n\nQuestion: Tom has 3.\nAnswer: #### 5"
    >>> first_reply(reply, marks(reply), lambda text: False)
    '#### 18'
    """
    if "\n" not in text:
        return text
    first = min((mark.end for mark in found), default=len(text))
    for head in _HEAD.finditer(text):
        place = head.start()
        if text[first:place].strip() or (found and found[-1].is_whole and found[-1].end < place):
            return text[:place].rstrip()
        if place <= _HEADED and reads(text[:place]):
            return text[:place].rstrip()
    return text


def settled(text: str, *, sentence: bool) -> str:
    """What certainly stood in a reply that was cut off at the limit of tokens.

    Args:
        text: cleaned.
        sentence: whether answers may hold blanks, so that only sentences and lines are complete;
            else words are.
    """
    ends = _SENTENCE_END if sentence else _WORD_END
    last = 0
    for found in ends.finditer(text):
        last = found.end()
    return text[:last]
