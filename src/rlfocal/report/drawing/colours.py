"""The colours of drawings: written once, in the style sheets of the page, light and dark.

A drawing in a page wears the page's custom properties. One in a file of its own carries the same
rules with the colours written in, for readers that know no custom properties as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

__all__ = ["N_HUES", "N_STEPS", "contrast", "own_style", "palettes"]

N_HUES, N_STEPS = 6, 5
"""Colours of things that differ in kind, and of a quantity from low to high."""

_ROOT = re.compile(r":root \{(.*?)\}", re.DOTALL)
_DARK = re.compile(r"@media \(prefers-color-scheme: dark\) \{\s*:root \{(.*?)\}\s*\}", re.DOTALL)
_COLOUR = re.compile(r"--([\w-]+):\s*(#[0-9a-f]{6});")
_RULE = re.compile(r"^\.rlf[^{]*\{[^}]*\}$", re.MULTILINE)
_VARIABLE = re.compile(r"var\(--([\w-]+)\)")


@lru_cache(maxsize=1)
def palettes() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Colours by name, "#rrggbb", of the light and of the dark appearance."""
    sheet = _sheets()
    dark = {k: v for block in _DARK.findall(sheet) for k, v in _COLOUR.findall(block)}
    bright = _ROOT.findall(_DARK.sub("", sheet))
    return {k: v for block in bright for k, v in _COLOUR.findall(block)}, dark


@lru_cache(maxsize=1)
def own_style() -> str:
    """The rules of drawings with their colours written in, both appearances."""
    light, dark = palettes()
    rules = _RULE.findall(_sheets())
    coloured = [rule for rule in rules if _VARIABLE.search(rule)]
    night = "\n".join(_written_in(rule, dark) for rule in coloured)
    day = "\n".join(_written_in(rule, light) for rule in rules)
    return f"{day}\n@media (prefers-color-scheme: dark) {{\n{night}\n}}"


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, from 1 to 21.

    Source: Web Content Accessibility Guidelines 2.1, "contrast ratio".

    >>> round(contrast("#000000", "#ffffff"), 1)
    21.0
    """
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _written_in(rule: str, palette: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: palette[found[1]], rule)


def _sheets() -> str:
    root = resources.files("rlfocal")
    files = (root / "page.css", root / "report" / "assets" / "drawing.css")
    return "\n".join(file.read_text(encoding="utf-8") for file in files)
