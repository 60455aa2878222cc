"""Which of several schemas a value is of: as one tries them one by one, at another cost."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.toolcalls import Call, ToolCallExtractor, canonical, tools_from, violations
from rlfocal.toolcalls.alternatives import choice_of, first_of, in_enum
from rlfocal.toolcalls.checking import MOST
from rlfocal.toolcalls.coercion import coerced
from rlfocal.toolcalls.parsing.sums import worked_out
from rlfocal.toolcalls.plain import fits, plain
from rlfocal.toolcalls.schema import KINDS, MAX_ALTERNATIVES, Schema
from rlfocal.toolcalls.values import tidy

KEYS = ["a", "b", " a", "c"]
SCALARS = st.sampled_from(
    [None, True, False, 0, 5, 5.0, 5.5, 1e400, float("nan"), "5", "A", " a ", "[1]", "true", "",
     2**70, worked_out("2 + 3"), worked_out("11 / 2"), "null"]
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=8,
)
SOME_KINDS = st.frozensets(st.sampled_from(sorted(set(KINDS.values()))), max_size=3)
ENUMS = st.lists(VALUES, max_size=4).map(tuple)
LEAVES = st.builds(Schema, SOME_KINDS, ENUMS) | st.builds(Schema, SOME_KINDS)
WITHIN = LEAVES | st.builds(lambda one: Schema(alternatives=(one, Schema())), LEAVES)
SCHEMAS = LEAVES | st.builds(
    lambda kinds, properties, required, additional, items, n_prefix: Schema(
        kinds, properties=properties, required=required, additional=additional, items=items,
        prefix=(Schema(),) * n_prefix,
    ),
    SOME_KINDS,
    st.dictionaries(st.sampled_from(["a", "b", "c"]), WITHIN, max_size=3),
    st.frozensets(st.sampled_from(["a", "b", "c"]), max_size=2),
    st.sampled_from([None, True, False]),
    st.none() | WITHIN,
    st.integers(0, 3),
)  # fmt: skip


def one_by_one(value: Any, known: Sequence[Schema]) -> Schema | None:
    """The first that a value may be of, as it is said in words."""
    if isinstance(value, dict):
        value = {tidy(key): one for key, one in value.items()}
    return next((schema for schema in known if _may_be(value, schema)), None)


def _may_be(value: Any, schema: Schema) -> bool:
    if schema.enum:
        return in_enum(value, schema) is not None
    if not fits(value, schema.kinds):
        return False
    if isinstance(value, list) and schema.items is not None and not schema.items.alternatives:
        return all(fits(one, schema.items.kinds) for one in value[len(schema.prefix) :])
    if isinstance(value, dict) and schema.properties:
        if not schema.required <= value.keys():
            return False
        if schema.additional is False and not value.keys() <= schema.properties.keys():
            return False
        told = schema.properties.items()
        return all(_may_be(value[key], one) for key, one in told if one.enum and key in value)
    return True


@given(known=st.lists(SCHEMAS, min_size=1, max_size=6), values=st.lists(VALUES, max_size=6))
def test_the_first_that_fits_is_found(known: list[Schema], values: list[Any]) -> None:
    choice = choice_of(Schema(alternatives=tuple(known)))
    flat = choice.schemas
    for value in [*values, *values]:  # what was found out about one serves the next
        assert first_of(value, choice) is one_by_one(value, flat)


@given(VALUES)
def test_without_a_schema_there_is_one_way_to_write_a_value(value: Any) -> None:
    assert repr(plain(value)) == repr(coerced(value, Schema()))
    assert repr(plain(plain(value))) == repr(plain(value))


def n_calls(work: Callable[[], object]) -> int:
    """Calls of functions that some work takes, those of Python's own among them."""
    counted = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return counted


def of_kind(n: int) -> dict[str, Any]:
    return {
        "type": "object", "required": ["kind", f"p{n}"],
        "properties": {"kind": {"const": f"k{n}"}, f"p{n}": {"type": "integer"}},
    }  # fmt: skip


UNIONS: dict[str, tuple[Callable[[int], dict[str, Any]], Callable[[int], Any]]] = {
    "constants": (of_kind, lambda k: {"kind": f"other {k}", "p0": k}),
    "the last": (of_kind, lambda k: {"kind": "k1", "p1": k}),
    "enums": (lambda n: {"enum": [n, f"value {n}"]}, lambda k: k + 1000),
    "keys": (
        lambda n: {"type": "object", "properties": {f"p{n}": {}}, "additionalProperties": False},
        lambda k: {f"q{k}": 1},
    ),
    "items": (
        lambda n: {"type": "array", "prefixItems": [{}] * n, "items": {"type": "integer"}},
        lambda k: ["x", str(k)],
    ),
}


@pytest.mark.parametrize("kind", UNIONS)
def test_work_grows_with_the_values_and_not_with_the_alternatives(kind: str) -> None:
    alternative, value = UNIONS[kind]

    def work(n_alternatives: int, n_values: int) -> int:
        either = [alternative(n) for n in range(n_alternatives)]
        schema = {"type": "array", "items": {"anyOf": either}}
        tools = tools_from({"name": "f", "parameters": {"properties": {"a": schema}}})
        calls = [Call("f", {"a": [value(k) for k in range(n_values)]})]
        canonical(calls, tools)  # what is kept of a schema is there now
        return n_calls(lambda: (canonical(calls, tools), violations(calls, tools)))

    few, many = work(2, 400), work(MAX_ALTERNATIVES, 400)
    assert many < 1.2 * few + 3000
    assert work(MAX_ALTERNATIVES, 1600) < 4.4 * many


def test_alternatives_within_others_count_as_well() -> None:
    either = [{"anyOf": [{"const": 100 * i + j} for j in range(12)]} for i in range(12)]
    for some, meant in ((either[:10], 100), (either, "100")):  # 120 and 144 of them
        schema = {"anyOf": some}
        reader = ToolCallExtractor({"name": "f", "parameters": {"properties": {"a": schema}}})
        form = canonical([Call("f", {"a": "100"})], reader.tools)
        assert form == canonical([Call("f", {"a": meant})], reader.tools)
    assert len(Schema(alternatives=(Schema(),) * (MAX_ALTERNATIVES + 1)).flat()) == 1


def test_faults_are_listed_up_to_a_number() -> None:
    one = {
        "type": "object", "required": [f"p{n}" for n in range(500)],
        "properties": {"n": {"type": "integer"}, "e": {"enum": ["x" * 10_000]}},
        "additionalProperties": False,
    }  # fmt: skip
    schema = {"type": "array", "items": one}
    tools = tools_from({"name": "f", "parameters": {"properties": {"a": schema}}})
    found = violations([Call("f", {"a": [{"n": "x", "e": 1, "o": 1}] * 1000})] * 2, tools)
    counts = {(one.fault, one.call) for one in found}
    assert len(counts) == 4  # of the first call alone: there is room for no more
    assert len(found) == 4 * MOST
    assert max(len(one.detail) for one in found) < 200


def test_a_grave_fault_is_found_behind_many_others() -> None:
    tools = tools_from({"name": "f", "parameters": {"properties": {
        "a": {"type": "array", "items": {"type": "integer"}},
        "z": {"enum": ["x"]},
    }}})  # fmt: skip
    reader = ToolCallExtractor(tools)
    call = Call("f", {"a": ["x"] * (10 * MOST), "z": "y"})
    (fault,) = {one.fault for one in violations([call], tools)} - {"wrong type"}
    assert fault == "not in enum"
    assert reader.extract(f"f(a={['x'] * (10 * MOST)}, z='y')") is None
