"""Functions that tests of tool calls offer: made up, of every kind of argument."""

from __future__ import annotations

from typing import Any

import pytest

from rlfocal.toolcalls import ToolCallExtractor


@pytest.fixture(scope="session")
def offered() -> list[dict[str, Any]]:
    """Bare functions, as data sets have them."""
    return [
        {
            "name": "weather.forecast",
            "description": "Tell the weather.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "days": {"type": "integer", "default": 3},
                    "unit": {"enum": ["Celsius", "Fahrenheit"], "default": "Celsius"},
                    "precise": {"type": "boolean", "default": False},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "at": {"type": "string"},
                },
                "required": ["city"],
            },
        },
        {
            "name": "distance",
            "parameters": {
                "type": "dict",
                "properties": {
                    "start": {"type": "tuple", "items": {"type": "float"}},
                    "end": {"type": "tuple", "items": {"type": "float"}},
                    "scale": {"type": "float", "default": 1},
                },
                "required": ["start", "end"],
            },
        },
        {
            "name": "book",
            "parameters": {
                "type": "object",
                "properties": {
                    "date": {"type": "string", "format": "date"},
                    "guests": {"type": "integer"},
                    "code": {"type": "string"},
                    "room": {
                        "type": "object",
                        "properties": {
                            "kind": {"enum": ["single", "double"]},
                            "extras": {
                                "type": "array",
                                "items": {"type": "string"},
                                "uniqueItems": True,
                            },
                            "floor": {"type": "integer", "default": 1},
                        },
                        "required": ["kind"],
                    },
                },
                "required": ["date", "guests"],
            },
        },
        {
            "name": "search",
            "parameters": {
                "type": "object",
                "properties": {
                    "query": {"type": "string"},
                    "limit": {"type": ["integer", "null"], "default": 10},
                    "filter": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
                    "within": {
                        "oneOf": [
                            {
                                "type": "object",
                                "properties": {"by": {"const": "year"}, "of": {"type": "integer"}},
                                "required": ["by"],
                            },
                            {
                                "type": "object",
                                "properties": {"by": {"const": "name"}, "of": {"type": "string"}},
                                "required": ["by"],
                            },
                        ]
                    },
                    "more": {"type": "any"},
                },
                "required": ["query"],
            },
        },
        {
            "name": "ui.setText",
            "parameters": {
                "properties": {
                    "text": {"type": "String"},
                    "start": {"type": "long"},
                    "lines": {"type": "ArrayList", "items": {"type": "String"}},
                    "options": {"type": "HashMap"},
                },
                "required": ["text"],
            },
        },
        {"name": "ping", "parameters": {"type": "object", "properties": {}}},
    ]


@pytest.fixture(scope="session")
def reader(offered: list[dict[str, Any]]) -> ToolCallExtractor:
    return ToolCallExtractor(offered)
