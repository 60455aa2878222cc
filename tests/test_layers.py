"""The house keeps its shape: imports run downwards, torch stays in rl, files stay readable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAX_LINES = 400


def test_import_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_no_source_file_is_too_long_to_read() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "src").rglob("*.py")
    }
    assert lengths
    assert {path: n for path, n in lengths.items() if n > MAX_LINES} == {}


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, rlfocal; before = [m for m in sys.modules]\n"
        "heavy = [m for m in ('torch', 'sklearn', 'numpy', 'pyarrow', 'pydantic') if m in before]\n"
        "from rlfocal import build_table, demo_dataset, read_dataset\n"
        "heavy += [m for m in ('torch', 'sklearn', 'plotly') if m in sys.modules]\n"
        "print(heavy)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
