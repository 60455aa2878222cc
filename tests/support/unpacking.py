"""Reads back what a report's page carries of its questions, as a browser would."""

from __future__ import annotations

import base64
import gzip
import json
import re
from typing import Any

SCRIPT = re.compile(r'<script type="text/plain" id="questions-([a-z0-9-]+)">([^<]*)</script>')


def unpacked(page: str) -> dict[str, Any]:
    """Name of a block → what it holds."""
    return {name: opened(text) for name, text in SCRIPT.findall(page)}


def opened(text: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(text, validate=True)))


def joined(blocks: dict[str, Any], kind: str) -> dict[str, Any]:
    """The columns of all blocks of a kind, one after another."""
    parts = [blocks[f"{kind}-{i}"] for i in range(sum(name.startswith(kind) for name in blocks))]
    whole = {
        name: [value for part in parts for value in part[name]]
        for name in parts[0]
        if name != "runs"
    }
    if "runs" in parts[0]:
        whole["runs"] = [
            {name: [v for part in parts for v in part["runs"][r][name]] for name in run}
            for r, run in enumerate(parts[0]["runs"])
        ]
    return whole
