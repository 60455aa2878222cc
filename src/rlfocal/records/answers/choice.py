"""The letter of the option that a reply settles on.

Sources: MMLU-Pro's evaluation script (TIGER-AI-Lab/MMLU-Pro, `extract_answer` and its two
fallbacks: "answer is (X)", "Answer: X", the last letter that stands alone).

Departures:
- the last mark counts, not the first, because replies correct themselves;
- the letter must stand alone ("the answer is Always" is no A), and "A" and "I" are no letters
  where they are English words;
- several letters ("A and C") and Roman numerals are no answer;
- where the options' texts are known, a text that names exactly one of them gives its letter;
- without any letter the answer is None, never a random guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from rlfocal.records.answers.letters import bare, is_joined, is_roman, leading, named, standing
from rlfocal.records.answers.replies.cleaning import even, plain
from rlfocal.records.answers.replies.markers import Mark, marks
from rlfocal.records.answers.replies.settling import SEVERAL, Rules, is_refusal
from rlfocal.records.answers.text import canonical_text
from rlfocal.records.schema import OPTION_LETTERS

__all__ = ["ChoiceExtractor"]

MAX_WHOLE = 1000
"""A longer text is a reply, no answer."""
MAX_OPTION = 4 * MAX_WHOLE
"""A longer option is named by its letter alone: no answer holds it, however it is cleaned."""
TAIL = 2000
"""Characters at the end of a reply in which it says its answer, where it marks none."""
MIN_TEXT = 3
"""Characters of an option's text that is looked for inside of a sentence, at least."""

_LABELLED = re.compile(
    r"[(\[{]\s?([A-Za-z])\s?[)\]}][.:]?\s*(.*)|([A-Z](?=\s?[).:])|[a-z](?=[).:]))\s?[).:]\s+(.*)",
    re.DOTALL,
)
_NOUN = r"(?:option |choice |answer |letter )?"
_CANDIDATE = re.compile(r"(?<![A-Za-z0-9_'])([(\[])?([A-Z])(?![A-Za-z0-9_'])[)\]]?")
_CHOSEN = tuple(
    (re.compile(before + r"\Z", re.IGNORECASE | re.MULTILINE), re.compile(after, re.IGNORECASE))
    for before, after in (
        (  # "(C) is correct"
            r"",
            r"[.:]?(?:\s\([^()\n]{0,60}\))?[\"']?\s+(?:is|would be|must be|seems)\s+"
            r"(?:(?:indeed|therefore|thus|clearly|most likely|definitely|the|my|our)\s)*"
            r"(?:correct|right|best|most (?:accurate|appropriate|likely|suitable)|only correct|"
            r"(?:final )?answer)\b",
        ),
        (  # "I would choose B"
            r"(?:\b(?:choose|chose|pick|select|go(?:ing)? with|opt for|opting for|settle on|"
            r"choosing|selecting|would be|guess|lean(?:ing)? (?:towards?|to)|vote for|answer with|"
            r"bet on|would say|leav(?:es|ing)(?: us with)?(?: only)?)[:\s]\s?"
            rf"|(?:故选|因此选|所以选|应选|我选|選|选择|^选)[:\s]{{0,2}}){_NOUN}",
            r"(?!\s+[a-z]+\s+(?:that|which))",
        ),
        (  # "Therefore, C."
            rf"\b(?:therefore|thus|hence|so),?\s(?:it is |it's |it must be )?{_NOUN}",
            r"(?=[.!]|\s*$|\n|\sis (?:correct|right))",
        ),
        (  # "It's C."
            rf"\b(?:it is|it's|that's|must be)\s{_NOUN}",
            r"(?=[.!,]|\s*$|\n)",
        ),
        (r"(?:选项|選項|选)\s?", r"\s?(?:正确|是对的|$|。|\n)"),
        (  # "Only (B) fits"
            rf"\bonly\s{_NOUN}",
            r"\s(?:fits|works|satisfies|matches|remains|holds|makes sense|agrees|meets|applies|"
            r"can be|is (?:left|true|valid|possible|consistent|plausible))\b",
        ),
    )
)
"""What stands before a letter and behind it where a reply says that it chooses it."""
MAX_CANDIDATES = 60
"""The last letters of a reply that are looked at; one with more is a list."""
BEFORE = 40
"""Characters before a letter that are looked at."""
_BOXED = re.compile(r"[\s$]*\\(?:boxed|fbox)\s?(?:\{([^{}]*)\}|([^{}\s]))[\s$.]*")
_NEXT = re.compile(r"[.!?]\s+\S")
_SENTENCE = re.compile(r"(?<=[.!?\n])\s+(?=\S)|\n")


@dataclass(frozen=True)
class ChoiceExtractor(Rules):
    r"""Option letters.

    Attributes:
        n_options: letters after the n-th are no answers; 1 to 26.
        options: the options' texts, where they are known; a reply that names exactly one of them
            gives its letter.
        first_index: an answer that is a bare number counts the options from here (0 or 1); None
            where numbers are none. Which it is shows in a whole column only.

    >>> ChoiceExtractor().extract("Between B and C, the answer is (C).")
    'C'
    >>> ChoiceExtractor(2, options=("Paris", "Rome")).extract("The answer is Rome.")
    'B'
    """

    n_options: int = 10
    options: tuple[str, ...] = ()
    first_index: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.n_options <= len(OPTION_LETTERS):
            raise ValueError(f"n_options is {self.n_options}; it must be 1 to 26")
        if self.options and len(self.options) > self.n_options:
            raise ValueError(
                f"options has {len(self.options)} texts; it must have at most n_options = "
                f"{self.n_options}"
            )
        if self.first_index not in (None, 0, 1):
            raise ValueError(f"first_index is {self.first_index}; it must be 0, 1 or None")

    def read(self, answer: str) -> str | None:
        """Return the letter of a text that is one answer as a whole.

        A letter in any dress (`b`, `(B)`, `B.`, `**B**`, `[B]`, "Option B"), a letter with its
        option ("B. Paris"), an option's text.

        >>> ChoiceExtractor(4).read(" (b) "), ChoiceExtractor(4).read("B or C")
        ('B', None)
        """
        if len(answer) == 1 and answer in self._letters:
            return answer
        if len(answer) > MAX_WHOLE:
            return None
        text = _unboxed(plain(even(answer)).strip())
        if (found := self._of_text(text)) is not None:
            return found
        if self.first_index is not None and text.isdecimal() and len(text) <= 2:
            place = int(text) - self.first_index
            return self._letters[place] if 0 <= place < self.n_options else None
        if (letter := bare(text)) is not None:
            return letter if letter in self._letters else None
        return self._labelled(text)

    def behind(self, mark: Mark) -> str | None:
        """Return the letter behind a mark."""
        rest = mark.rest.strip()
        if mark.is_whole and (whole := self.read(rest)) is not None:
            return whole
        if mark.sort == "words" and rest[:40].partition("\n")[0].rstrip("* ").endswith("?"):
            return None
        if (letter := named(rest, self._letters)) is not None:
            return letter
        line = rest.partition("\n")[0]
        if (found := self._beginning(line)) is not None:
            return found
        return SEVERAL if is_refusal(line) else None

    def last_resort(self, text: str) -> str | None:
        """Return the letter of a reply that marks none."""
        if (letter := leading(text, self._letters)) is not None:
            return letter
        text = text[-TAIL:]
        if (chosen := self._chosen(text)) is not None:
            return chosen
        sentence = _last_sentence(text)
        if is_refusal(sentence):
            return SEVERAL
        return self._inside(sentence) or standing(text, self._letters)

    def _chosen(self, text: str) -> str | None:
        """The last letter of which a reply says that it chooses it."""
        for found in [*_CANDIDATE.finditer(text)][: -MAX_CANDIDATES - 1 : -1]:
            letter = found[2]
            is_word = (
                letter == "I" and not found[1] and text[found.end() : found.end() + 4] != " is "
            )
            if letter not in self._letters or is_word:
                continue
            start = max(0, found.start() - BEFORE)
            for before, after in _CHOSEN:
                if after.match(text, found.end()) and before.search(text, start, found.start()):
                    return letter
        return None

    @cached_property
    def _letters(self) -> str:
        return OPTION_LETTERS[: self.n_options]

    @cached_property
    def _texts(self) -> dict[str, str]:
        """Canonical text of an option → its letter; texts that two options share are left out."""
        texts: dict[str, str] = {}
        for letter, option in zip(self._letters, self.options, strict=False):
            if len(option) > MAX_OPTION:
                continue
            key = canonical_text(plain(even(option)).strip())
            if key is not None:
                texts[key] = letter if key not in texts else ""
        return {key: letter for key, letter in texts.items() if letter}

    def _of_text(self, text: str) -> str | None:
        if not self.options:
            return None
        key = canonical_text(text)
        return None if key is None else self._texts.get(key)

    def _labelled(self, text: str) -> str | None:
        """The letter of "B. Paris", unless the text is another option's."""
        found = _LABELLED.fullmatch(text)
        if found is None or "\n" in text:
            return None
        letter, rest = (found[1] or found[3]).upper(), found[2] or found[4] or ""
        other = self._of_text(rest)
        if other is None and is_joined(
            text[1 + (found[1] is not None) + 1 :], letter, self._letters
        ):
            return None
        if (letter == "I" and is_roman(rest)) or marks(rest):
            return None  # "A: The answer is C", of a transcript
        if letter not in self._letters or (other is not None and other != letter):
            return None
        is_more = len(rest) > 200 or _NEXT.search(rest)  # "B. A and C are wrong. ..."
        return letter if (other == letter or not self.options) and not is_more else None

    def _beginning(self, line: str) -> str | None:
        """The letter of the longest option's text that a line begins with."""
        key = canonical_text(line[:400]) if self.options else None
        best = ""
        for text in self._texts if key else ():
            if (
                key is not None
                and key.startswith(text)
                and not re.match(r"\w|[.,]\w", key[len(text) : len(text) + 2])
                and len(text) > len(best)
            ):
                best = text
        return self._texts.get(best)

    def _inside(self, sentence: str) -> str | None:
        """The letter of the only option whose text a sentence holds."""
        if not self.options:
            return None
        key = f" {canonical_text(sentence[:1000]) or ''} "
        found = {
            letter
            for text, letter in self._texts.items()
            if MIN_TEXT <= len(text) < len(key)
            and re.search(rf"(?<![\w.]){re.escape(text)}(?!\w|\.\w)", key)
        }
        return found.pop() if len(found) == 1 else None


def _unboxed(text: str) -> str:
    found = _BOXED.fullmatch(text)
    return text if found is None else (found[1] or found[2] or "").strip()


def _last_sentence(text: str) -> str:
    place = 0
    for found in _SENTENCE.finditer(text.rstrip(), max(0, len(text) - 1000)):
        place = found.end()
    return text[place:]
