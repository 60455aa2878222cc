"""Writes constraints.txt: what a release was tried with, one file of each package by its hash.

Reads the report of `pip install --dry-run --report` (`make constraints`).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

HEAD = """\
# What a release was tried with: the core and learn, serve, postgres, otel; Python 3.11, Linux
# x86_64. How to install with it: docs/how-to/install.md. Made by `make constraints`.
"""


def constraints(report: dict[str, Any]) -> str:
    """Lines of all packages in a report but the one that was asked for from a folder.

    Raises:
        SystemExit: a file has no hash.
    """
    lines = {}
    for found in report["install"]:
        about, source = found["metadata"], found["download_info"]
        name = re.sub(r"[-_.]+", "-", about["name"]).lower()
        if "dir_info" in source:
            continue
        digest = source.get("archive_info", {}).get("hashes", {}).get("sha256")
        if digest is None:
            sys.exit(f"{name} {about['version']}: no sha256 in pip's report")
        lines[name] = f"{name}=={about['version']} --hash=sha256:{digest}\n"
    return HEAD + "".join(lines[name] for name in sorted(lines))


if __name__ == "__main__":
    made = constraints(json.load(sys.stdin))
    (Path(__file__).parent / "constraints.txt").write_text(made, encoding="utf-8")
