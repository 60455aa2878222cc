"""What the documents promise runs: Python blocks, `rlfocal` commands, links, docstring examples."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import shlex
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import rlfocal
from rlfocal.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
EXAMPLES = sorted(ROOT.glob("examples/*.py"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
MODULES = sorted(m.name for m in pkgutil.walk_packages(rlfocal.__path__, "rlfocal."))


HAS_ITS_OWN_TEST = {"docs/data-format.md", "docs/gateway.md"}
"""Their blocks need what the pages describe: tests/records/test_data_format_doc.py and
tests/gateway/test_gateway_doc.py."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """Every fenced block of one language."""
    return [text for name, text in BLOCK.findall(page.read_text("utf-8")) if name == language]


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page, "python") and name_of(page) not in HAS_ITS_OWN_TEST],
    ids=name_of,
)
def test_python_blocks_of_a_page_run_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile("\n".join(blocks(page, "python")), name_of(page), "exec"), {"__name__": "page"})


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "sh")], ids=name_of)
def test_rlfocal_commands_name_options_that_exist(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands may train for minutes, so they are not run."""
    for line in "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] != ["rlfocal"]:
            continue
        with pytest.raises(SystemExit) as left:
            main([*words[1 : 3 if words[1] in ("import", "keys", "shadow") else 2], "--help"])
        assert not left.value.code, line
        shown = capsys.readouterr().out
        for word in words:
            if word.startswith("--"):
                assert re.search(rf"{word}\b", shown), f"{line}: no option {word}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]
    assert [t for t in targets if not (page.parent / t).exists()] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(path.read_text("utf-8"), str(path), "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("module", MODULES)
def test_docstring_examples_hold(module: str) -> None:
    found = importlib.import_module(module)
    names = {"np": np, "pa": pa, **vars(found)}
    assert doctest.testmod(found, globs=names).failed == 0
