from __future__ import annotations

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.report.heat import N_SHADES, heat_table, shade


def cells(html: str) -> list[tuple[str, str]]:
    """Shade and number of each cell."""
    return re.findall(r"<td(?: class=(s\d))?>([^<]*)</td>", html)


def test_cells_show_their_numbers_and_leave_the_unknown_empty() -> None:
    values = np.array([[0.5, np.nan], [1.0, 2.0]])
    html = heat_table(values, rows=["a", "b"], columns=["1", "2"], label="t", digits=1)
    assert cells(html)[1:] == [("s0", ".5"), ("", ""), ("s2", "1.0"), ("s6", "2.0")]
    assert html.count('scope="row"') == html.count('scope="col"') == 2


def test_small_numbers_keep_their_sign_and_lose_their_zero() -> None:
    html = heat_table(np.array([[-0.25, 0.0]]), rows=["a"], columns=["x", "y"], label="t", digits=2)
    assert [number for _, number in cells(html)[1:]] == ["\N{MINUS SIGN}.25", ".00"]
    whole = heat_table(np.array([[0.2, 100.0]]), rows=["a"], columns=["x", "y"], label="t")
    assert [number for _, number in cells(whole)[1:]] == ["0", "100"]


@given(st.floats(-2, 3), st.floats(-2, 3))
def test_more_is_never_paler(one: float, other: float) -> None:
    shades = [shade(value, (0, 1)) for value in sorted((one, other))]
    assert 0 <= shades[0] <= shades[1] < N_SHADES


def test_one_value_everywhere_has_a_shade() -> None:
    assert shade(0.3, (0.3, 0.3)) == 3
    assert "<td></td>" in heat_table(np.full((1, 1), np.nan), rows=["a"], columns=["b"], label="t")


def test_long_names_are_cut_and_told_when_pointed_at() -> None:
    name = "a-member-with-a-name-longer-than-any-cell<&"
    html = heat_table(np.eye(1), rows=[name], columns=[name], label="t")
    whole = "a-member-with-a-name-longer-than-any-cell&lt;&amp;"
    assert html.count(f'title="{whole}"') == 2
    assert name not in html
