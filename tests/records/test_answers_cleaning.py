"""What is taken off before anything is read: thinking, typography, markup, the next question."""

# ruff: noqa: RUF001  look-alikes are what is tested

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.records.answers import extractor
from rlfocal.records.answers.replies import settling
from rlfocal.records.answers.replies.cleaning import clean, even, plain, without_thinking
from rlfocal.records.answers.replies.markers import first_reply, marks


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no tags", "no tags"),
        ("<think>a</think>b", "b"),
        ("a</think>b", "b"),
        ("<think>a", None),
        ("b <think>a</think> c", "b  c"),
        ("<think>use <think> here</think>b", "b"),
        ("<thinking>a<reflection>b</reflection>c</thinking>d", "d"),
        ("<THINK>a</THINK>b", "b"),
        ("◁think▷a◁/think▷b", "b"),
        ("[THINK]a[/THINK]b", "b"),
        ("<|begin_of_thought|>a<|end_of_thought|>b", "b"),
        ("<reasoning>a</reasoning>b", "b"),
        ("<|channel|>analysis<|message|>a<|end|>", None),
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b",
            "b",
        ),
        ("analysisaassistantfinalb", "b"),
        ("b<|im_end|>c", "b"),
        ("<|im_start|>assistant\nb<|im_end|>", "b"),
        ("b</s></s>", "b"),
        ("x < y and [1]", "x < y and [1]"),
        ("</think>", ""),
        ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>", "b"),
        ("<|channel>thought\na<channel|>b", "b"),
        ("<|thought_start|>a<|thought_end|>b", "b"),
        ("Here is my thought process: a? Here is my response: b", " b"),
        ("**Here's my thinking:**\na\n**Here's my answer:** b", " b"),
        ('<details type="reasoning" done="true">\n<summary>Thought</summary>\na</details>b', "b"),
        ("<details><summary>Reasoning</summary>a</details>b", "b"),
        ("<details><summary>Steps</summary>a</details>b",) * 2,
        ("<|inner_prefix|>a<|inner_suffix|>b", "b"),
        ("<longcat_think>a</longcat_think>b", "b"),
        ("<mm:think>a</mm:think>b", "b"),
        ("<antThinking>a</antThinking>b", "b"),
        ("<new_model_scratch_pad>a</new_model_scratch_pad>b", "b"),
        ("<|think|>a<|/think|>b", "b"),
        ("<|think|>a<think|>b", "b"),
        ("<|think|>a<|end|><|begin|>assistant<|content|>b<|end|>", "b"),
        ("<|thinking|>a<|end_thinking|>b", "b"),
        ("<｜thinking｜>a<｜end▁of▁thinking｜>b", "b"),
        ("<thinking_process>a</thinking_process>b", "b"),
        ('<think duration="3">a</think>b', "b"),
        ("< think >a</ think >b", "b"),
        ("[REASONING]a[/REASONING]b", "b"),
        ("b [ANALYSIS] c",) * 2,
        ("&lt;think&gt;a&lt;/think&gt;b", "b"),
        ("\\u003cthink\\u003ea\\u003c/think\\u003eb", "b"),
        ("<think>a<think>\n\nb", "\n\nb"),
        ("<think>a<\\think>b", "b"),
        ("<think/>b", "b"),
        ("<seed:think>a<seed:cot_budget_reflect>c</seed:cot_budget_reflect>d</seed:think>b", "b"),
        ("e<think>a<reflection>c</reflection>d</think>b", "eb"),
        ("<think>use <think> here. The", None),
        ("<|START_THINKING|>a", None),
        ("<|begin_of_thought|>a<|end_of_thought|><|begin_of_solution|>b<|end_of_solution|>", "b"),
        ("<|channel|>final <|constrain|>json<|message|>b", "b"),
        ("<|channel|>commentary to=functions.f <|constrain|>json<|message|>a<|call|>", None),
        ("<think>put </think> `</think>` in</think>b", "b"),
        ("I used `<think>` tags.",) * 2,
        ("I used <think> tags.",) * 2,
        ("Write '</think>' at last.",) * 2,
        ('Call `split("</think>")[1]`.',) * 2,
        ("b\n```xml\n<think>\nx\n</think>\n```\nc",) * 2,
        ("b\n```python\nstart = '<think>x'\n```",) * 2,
        ("```\n<think>a</think>b\n```", "```\nb\n```"),
        ("<think>\n```python\na\n</think>\nb\n```\nc\n```", "\nb\n```\nc\n```"),
        ("```python\na\n</think>b\n```\nc\n```", "b\n```\nc\n```"),
        ("if x < think and y > 3: <b>b</b>",) * 2,
    ],
)
def test_thinking_is_cut(text: str, said: str | None) -> None:
    assert without_thinking(text) == said


@pytest.mark.parametrize(
    ("opens", "closes"),
    [
        ("<{}>", "</{}>"), ("<|{}|>", "<|/{}|>"), ("<|begin_of_{}|>", "<|end_of_{}|>"),
        ("<|{}_start|>", "<|{}_end|>"), ("<|START_{}|>", "<|END_{}|>"), ("<|{}|>", "<{}|>"),
        ("◁{}▷", "◁/{}▷"), ("[{}]", "[/{}]"), ("&lt;{}&gt;", "&lt;/{}&gt;"),
        ("<new:{}>", "</new:{}>"), ("<new_{}_tokens>", "</new_{}_tokens>"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("word", ["think", "thinking", "Thought", "REASONING", "reflection", "cot"])
def test_every_word_in_every_bracket(opens: str, closes: str, word: str) -> None:
    tags = opens.format(word), closes.format(word)
    thought = "The answer is 42? `</b>` or <b> (42)."
    assert without_thinking(f"{tags[0]}{thought}{tags[1]}It is 17.") == "It is 17."
    spoken_of = f"It is `{tags[0]}`."
    assert without_thinking(spoken_of) == spoken_of


@pytest.mark.parametrize(
    "part",
    ["<think>", "</think>", "`", "```\n", "```xml\n<think>\n", "<a b='c' ", "<|", "[REASONING]",
    "<s>", " <|end|>", "<think>`</think>`", "here is my ", "<think a=b ", "< ", "&lt;"],
)  # fmt: skip
def test_time_grows_with_the_text_alone(part: str) -> None:
    def steps(n: int) -> float:
        begun = time.process_time()
        without_thinking(part * n)
        return time.process_time() - begun

    short = min(steps(1_000) for _ in range(3))
    # A square would be 64 times as much.
    assert min(steps(8_000) for _ in range(2)) < 24 * short + 0.05


@settings(deadline=None, max_examples=200)
@given(
    parts=st.lists(
        st.sampled_from(["<think>", "</think>", "`", "\n```\n", "<b>", "a ", "<|end|>", "[THINK]"])
    )
)
def test_what_is_said_stands_in_the_reply(parts: list[str]) -> None:
    text = "".join(parts)
    said = without_thinking(text)
    assert said is None or len(said) <= len(text)


@pytest.mark.parametrize(
    ("text", "evened"),
    [
        ("2½", "2 1/2 "), ("10⁵", "10^5"), ("x⁻¹", "x^-1"), ("m²", "m^2"), ("1011₂", "1011_2"),
        ("H₂O", "H2O"), ("−3", "-3"), ("–3", "-3"), ("“a”", '"a"'), ("’s", "'s"), ("Ｂ", "B"),
        ("1\u202f250", "1 250"), ("a\u200bb", "ab"), ("e\u0301", "é"), ("ﬁ", "fi"), ("％", "%"),
    ],
)  # fmt: skip
def test_unicode_has_one_form(text: str, evened: str) -> None:
    assert even(text) == evened


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("**a** and __b__", "a and b"), ("*a* and _b_", "a and b"), ("a*b*c and a_b_c",
    "a*b*c and a_b_c"),
        ("`a`", "a"), ("```json\na\n```", "\na\n"), (r"\(a\)", " a "), (r"\text{\textbf{a}}", "a"),
        ("{{a}}", "{a}"), ("<b>a</b>", " a "), (r"1\,000", "1,000"), ("1{,}000", "1,000"),
    (r"5\%", "5%"),
        ("C++ -50 3.5 (A)", "C++ -50 3.5 (A)"), ("2 ** 3", "2  3"),
    ],
)  # fmt: skip
def test_markup_is_taken_off(text: str, bare: str) -> None:
    assert plain(text) == bare


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(text=st.text(max_size=60))
def test_cleaning_raises_on_nothing(text: str) -> None:
    once = clean(text)
    assert once is None or once == once.strip()
    assert even(even(text)) == even(text)


@pytest.mark.parametrize(
    ("text", "sorts"),
    [
        ("The answer is 5", ["words"]),
        (r"The answer is \boxed{5}.", ["box", "words"]),
        ("#### 5", ["hashes"]),
        ("<answer>5</answer>", ["tag"]),
        ('{"answer": "5"}', ["words"]),
        ("A: 5", ["words"]),
        ("A: 5\nB: 6", []),
        ("The answer is not 5", []),
        ("I will answer the question", []),
        ("unanswered: 5", []),
        (r"\boxed{5", []),
    ],
)
def test_marks_are_found_last_first(text: str, sorts: list[str]) -> None:
    assert [mark.sort for mark in marks(text)] == sorts


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("The answer is 5.\n\nQuestion: 6?\nThe answer is 7.", "The answer is 5."),
        ("Question: 6?\nThe answer is 7.", "Question: 6?\nThe answer is 7."),
        ("I read.\nQuestion: 6?\nThe answer is 7.", "I read.\nQuestion: 6?\nThe answer is 7."),
        (r"\boxed{5}" + "\nProblem 2: 6?\n" + r"\boxed{7}", r"\boxed{5}"),
    ],
)
def test_the_next_question_is_cut(text: str, first: str) -> None:
    assert first_reply(text, marks(text), lambda _: False) == first


@pytest.mark.parametrize(
    ("kind", "text", "answer"),
    [
        ("number", "The answer is 12", None),  # of 125?
        ("number", "The answer is 12. Because", "12"),
        ("number", "so 3 + 4 = 7 and then", None),
        ("number", r"\boxed{12} is", "12"),
        ("number", r"\boxed{12", None),
        ("number", "#### 12\n", "12"),
        ("number", "7", None),
        ("choice", "The answer is (B). I", "B"),
        ("choice", "B", None),
        ("choice", "Option A is too small, B is", None),
        ("text", "The answer is New", None),
        ("text", "The answer is New York. It", "new york"),
        ("text", "Paris", None),
        ("date", "The answer is 05/01/2021 and", "05/01/2021"),
        ("date", "The answer is 05/01/2021", None),
        ("date", "05/01/2021 was", None),
        ("number", "<think>The answer is 12. Because", None),
    ],
)
def test_of_a_reply_that_was_cut_off_only_a_marked_answer_counts(
    kind: str, text: str, answer: str | None
) -> None:
    assert extractor(kind).extract(text, truncated=True) == answer


def test_only_the_last_marks_are_looked_behind() -> None:
    looked = []

    class Counting(settling.Rules):
        def read(self, answer: str) -> None:
            return None

        def behind(self, mark: object) -> None:
            looked.append(mark)

        def last_resort(self, text: str) -> None:
            return None

    assert Counting().extract("the answer is x. " * 10_000) is None
    assert len(looked) == settling.MAX_MARKS
