"""The house keeps its shape: no circles, files that can be read, a map that is true to it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "src").rglob("*.py")
}
MAX_LINES = 400
MAX_FOLDER_LINES = 2500


def test_import_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def imported(name: str) -> set[str]:
    """Modules that a module imports: at its top, in functions, and for types alone."""
    found = set()
    for node in ast.walk(ast.parse(SOURCES[name].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{name}: a relative import"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {full if full in SOURCES else node.module for full in inner}
    return (found & SOURCES.keys()) - {name}


def test_no_modules_import_each_other_in_a_circle() -> None:
    # The package itself hands out names from everywhere, lazily.
    graph = {name: imported(name) - {"rlfocal"} for name in SOURCES.keys() - {"rlfocal"}}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        pytest.fail(" <- ".join(exc.args[1]))


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_source_file_is_too_long_to_read() -> None:
    lengths = {name: lines_of(path) for name, path in SOURCES.items()}
    assert lengths
    assert {name: n for name, n in lengths.items() if n > MAX_LINES} == {}


def test_no_folder_holds_two_ideas() -> None:
    lengths: Counter[str] = Counter()
    for path in SOURCES.values():
        lengths[path.parent.relative_to(ROOT / "src").as_posix()] += lines_of(path)
    assert {folder: n for folder, n in lengths.items() if n > MAX_FOLDER_LINES} == {}


def test_the_map_names_every_room_in_the_order_of_the_contract() -> None:
    there = {path.stem for path in (ROOT / "src/rlfocal").iterdir() if path.suffix in ("", ".py")}
    rooms = there - {"__init__", "__main__", "__pycache__"}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (contract,) = (
        contract["layers"]
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    floors = [[name.strip().partition(".")[2] for name in floor.split("|")] for floor in contract]
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    told = [re.findall(r"`(\w+)`", cell) for cell in re.findall(r"^\| (`.*?) \|", page, re.M)]
    assert told == floors
    assert sorted(name for floor in floors for name in floor) == sorted(rooms)
    (picture,) = re.findall(r"^```mermaid\n(.*?)^```", page, re.M | re.S)
    assert set(re.findall(r"\b(\w+)[\[(]", picture)) <= rooms | {"subgraph", "flowchart"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, rlfocal; before = [m for m in sys.modules]\n"
        "heavy = [m for m in ('torch', 'sklearn', 'numpy', 'pyarrow', 'pydantic') if m in before]\n"
        "from rlfocal import build_table, demo_dataset, read_dataset\n"
        "heavy += [m for m in ('torch', 'sklearn') if m in sys.modules]\n"
        "print(heavy)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
