"""Tool calls: read from whatever a member wrote, made comparable, checked against their schemas.

It stands by itself: text and JSON in, strings out. Nothing here calls a function or a member.

>>> from rlfocal.toolcalls import ToolCallExtractor
>>> tools = [{"name": "geo.find", "parameters": {"properties": {"q": {"type": "string"}}}}]
>>> ToolCallExtractor(tools).equal('[geo.find(q="Rome")]', '[{"geo_find": {"q": "Rome "}}]')
True
"""

from __future__ import annotations

from rlfocal.toolcalls.canonical import NO_CALL, canonical, normalised
from rlfocal.toolcalls.checking import Fault, Violation, violations
from rlfocal.toolcalls.extractor import ToolCallExtractor
from rlfocal.toolcalls.functions import Function, Tools, tools_from
from rlfocal.toolcalls.parsing import Call, Outcome, Reading, read_calls, read_text, read_whole
from rlfocal.toolcalls.parsing.channels import sends_call
from rlfocal.toolcalls.schema import Schema

__all__ = [
    "NO_CALL",
    "Call",
    "Fault",
    "Function",
    "Outcome",
    "Reading",
    "Schema",
    "ToolCallExtractor",
    "Tools",
    "Violation",
    "canonical",
    "normalised",
    "read_calls",
    "read_text",
    "read_whole",
    "sends_call",
    "tools_from",
    "violations",
]
