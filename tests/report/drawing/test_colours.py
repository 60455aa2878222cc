from __future__ import annotations

import itertools
import re

import pytest

from rlfocal.report.drawing.colours import N_HUES, N_STEPS, contrast, own_style, palettes
from rlfocal.report.heat import N_SHADES

APPEARANCES = pytest.mark.parametrize("palette", palettes(), ids=["light", "dark"])
HUES = [f"hue-{i + 1}" for i in range(N_HUES)]
STEPS = [f"step-{i + 1}" for i in range(N_STEPS)]
SHADES = [f"shade-{i}" for i in range(N_SHADES)]


def test_contrast_by_hand_values() -> None:
    assert contrast("#ffffff", "#ffffff") == 1
    assert contrast("#000000", "#ffffff") == contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@APPEARANCES
def test_text_and_names_can_be_read(palette: dict[str, str]) -> None:
    for name in ("ink", "soft", *HUES):
        assert contrast(palette[name], palette["ground"]) >= 4.5, name
    for name in SHADES:
        assert contrast(palette["ink"], palette[name]) >= 4.5, name


@APPEARANCES
def test_marks_stand_out(palette: dict[str, str]) -> None:
    for name in ("quiet", *STEPS):
        assert contrast(palette[name], palette["ground"]) >= 3, name


@APPEARANCES
def test_no_two_series_look_alike(palette: dict[str, str]) -> None:
    def channels(name: str) -> list[int]:
        return [int(palette[name][i : i + 2], 16) for i in (1, 3, 5)]

    for one, other in itertools.combinations([*HUES, "quiet"], 2):
        distance = sum(abs(a - b) for a, b in zip(channels(one), channels(other), strict=True))
        assert distance > 60, f"{one} and {other}"


@APPEARANCES
def test_quantities_get_steadily_stronger(palette: dict[str, str]) -> None:
    for names in (STEPS, SHADES):
        found = [contrast(palette[name], palette["ground"]) for name in names]
        assert found == sorted(found)


def test_a_drawing_of_its_own_has_every_colour_written_in() -> None:
    style = own_style()
    light, dark = palettes()
    assert set(light) >= {*HUES, *STEPS, "quiet", "ink", "soft", "line", "ground"}
    assert light.keys() == dark.keys()
    assert "var(" not in style
    assert all(rule.lstrip().startswith((".rlf", "@media", "}")) for rule in style.splitlines())
    day, night = style.split("@media (prefers-color-scheme: dark)")
    assert f".rlf .h1 {{ color: {light['hue-1']}; }}" in day
    assert f".rlf .h1 {{ color: {dark['hue-1']}; }}" in night
    assert len(re.findall(r"\{", style)) == len(re.findall(r"\}", style))
