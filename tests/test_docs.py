"""What the documents promise runs: Python blocks, commands, settings, links, docstring examples."""

from __future__ import annotations

import doctest
import importlib
import json
import pkgutil
import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pytest
import typer
from demo_pool import demo_pool

import rlfocal
from rlfocal.cli.main import app, main

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
EXAMPLES = sorted(ROOT.glob("examples/*.py"))
BLOCK = re.compile(
    r"^(<!-- not run: (?P<why>.+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)
"""A fenced block; a comment on the line before says why one is not run."""
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
MODULES = sorted(m.name for m in pkgutil.walk_packages(rlfocal.__path__, "rlfocal."))


HAS_ITS_OWN_TEST = {"docs/data-format.md", "docs/gateway.md"}
"""Their blocks need what the pages describe: tests/records/test_data_format_doc.py and
tests/gateway/test_gateway_doc.py."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """Every fenced block of one language that says of itself nothing else."""
    return [
        found["text"]
        for found in BLOCK.finditer(page.read_text("utf-8"))
        if found["language"] == language and found["why"] is None
    ]


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page, "python") and name_of(page) not in HAS_ITS_OWN_TEST],
    ids=name_of,
)
def test_python_blocks_of_a_page_run_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(
        compile("\n".join(blocks(page, "python")), name_of(page), "exec"), {"__name__": "__main__"}
    )


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "py")], ids=name_of)
def test_blocks_that_ask_live_members_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a block is marked `py`; it finds `my-ensemble` and `pool.toml`, as the page says."""
    rlfocal.train("demo", "agreement", output=tmp_path / "my-ensemble")
    monkeypatch.chdir(tmp_path)
    with demo_pool(tmp_path):
        exec(compile("\n".join(blocks(page, "py")), name_of(page), "exec"), {"rlfocal": rlfocal})


def shell_lines(page: Path) -> list[list[str]]:
    """Words of every command, its environment left out."""
    found = []
    for text in [*blocks(page, "sh"), *blocks(page, "bash")]:
        begun = ""
        for line in text.replace("\\\n", " ").splitlines():
            begun += line.removeprefix("$ ") + "\n"
            try:
                words = shlex.split(begun, comments=True)
            except ValueError:  # a quotation goes on
                continue
            begun = ""
            found += [command for command in _parted(words) if command]
        assert not begun, f"{name_of(page)}: a quotation does not end: {begun}"
    return found


def _parted(words: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word in ("&&", "|", "&", ";", "||"):
            parts.append([])
        elif parts[-1] or not re.fullmatch(r"[A-Z_]+=.*|export", word):
            parts[-1].append(word)
    return parts


VERBS = typer.main.get_command(app)


def check_verb(words: list[str]) -> None:
    """Parse a command as the program would, and go no further."""
    words = words[words[0] == "--debug" :]  # stands before any verb
    command: Any = VERBS
    context = click.Context(command, info_name="rlfocal")
    while hasattr(command, "list_commands"):
        name, command, words = command.resolve_command(context, words)
        context = type(context)(command, parent=context, info_name=name)
    command.parse_args(context, list(words))


def check_command(words: list[str]) -> None:
    """Whatever a command names is there: a verb and its options, a target, an extra, a file."""
    program = Path(words[0]).name
    if program == "rlfocal" and words[1:] != ["--help"]:
        check_verb(words[1:])
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
        assert {word for word in words[1:] if "=" not in word and word[0] != "-"} <= {*targets}
    elif program == "pip":
        settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
        for extras in re.findall(r"rlfocal\[([\w,-]+)\]", " ".join(words)):
            assert {*extras.split(",")} <= {*settings["project"]["optional-dependencies"]}
    elif program.startswith("python") and len(words) > 1 and words[1].endswith(".py"):
        assert (ROOT / words[1]).exists()


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "sh") + blocks(page, "bash")], ids=name_of
)
def test_commands_name_what_is_there(page: Path) -> None:
    for words in shell_lines(page):
        try:
            check_command(words)
        except Exception as exc:
            pytest.fail(f"{shlex.join(words)}: {exc!r}")


@pytest.mark.parametrize(
    "command", ["bench localpool --fold 3", "nothing", "import nothing x", "bench", "keys ad me"]
)
def test_a_command_that_does_not_exist_is_found(command: str) -> None:
    with pytest.raises(Exception, match=r"No such|Missing"):
        check_verb(command.split())


def self_contained() -> list[str]:
    """Commands on built-in data that take seconds."""
    verbs = ("bench", "inspect", "diversity")
    return [
        shlex.join(words[1:])
        for page in PAGES
        for words in shell_lines(page)
        if words[0] == "rlfocal" and words[1] in verbs and words[2] in ("localpool", "demo")
        if not {"all", "rl-focal"} & {*words}
    ]


@pytest.mark.slow
@pytest.mark.parametrize("command", self_contained())
def test_commands_on_built_in_data_run(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(shlex.split(command))
    assert not left.value.code


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_and_records_of_a_page_can_be_read(page: Path) -> None:
    for text in blocks(page, "toml"):
        tomllib.loads(text)
    for text in blocks(page, "json"):
        for line in [text] if text.lstrip().startswith(("{\n", "[\n")) else text.splitlines():
            json.loads(line)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]
    assert [t for t in targets if not (page.parent / t).exists()] == []


def test_the_page_of_python_has_every_public_name() -> None:
    page = (ROOT / "docs/reference/python.md").read_text("utf-8")
    shown = {*re.findall(r"^::: (\S+)$", page, re.M)}
    things = {name: getattr(rlfocal, name) for name in rlfocal.__all__ if name != "__version__"}
    homes = {name: thing.__module__ for name, thing in things.items()}
    assert [n for n, home in homes.items() if not {home, f"{home}.{n}"} & shown] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path)])
    exec(compile(path.read_text("utf-8"), str(path), "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("module", MODULES)
def test_docstring_examples_hold(module: str) -> None:
    found = importlib.import_module(module)
    names = {"np": np, "pa": pa, **vars(found)}
    assert doctest.testmod(found, globs=names).failed == 0
