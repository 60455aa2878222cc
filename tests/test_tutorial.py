"""The tutorial notebook runs from start to end, and shows what is kept in it."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "examples/tutorial.ipynb"


@pytest.fixture(scope="module")
def notebook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebook", ROOT / "docs/notebook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(cell: dict[str, Any]) -> list[Any]:
    """What a code cell tells: texts and figures, without looks, which change with versions."""
    outputs = []
    for output in cell.get("outputs", []):
        data = {kind: "".join(text) for kind, text in output.get("data", {}).items()}
        rich = [text for kind, text in data.items() if kind != "text/plain"]
        if 'class="dataframe"' in "".join(rich):
            outputs.append(re.findall(r"<td>(.*?)</td>", rich[0]))
            continue
        outputs.append("".join(output.get("text", [])))
        outputs.append("a picture" if "image/svg+xml" in data else data.get("text/plain"))
        outputs += [
            re.sub(r"<(\w+)[^>]*>", r"<\1>", re.sub(r"(?s)<style>.*?</style>", "", text))
            for text in [data.get("text/html", "")]
        ]
    return outputs


@pytest.mark.slow
def test_the_tutorial_shows_what_a_fresh_run_shows(notebook: ModuleType) -> None:
    pytest.importorskip("pandas")
    kept = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    fresh = notebook.executed(NOTEBOOK)["cells"]
    assert sum(bool(cell.get("outputs")) for cell in kept) >= 8
    for old, new in zip(kept, fresh, strict=True):
        where = "".join(old["source"])
        assert shown(old) == shown(new), (
            f"{where}\n(python docs/notebook.py examples/{NOTEBOOK.name})"
        )


CELLS = """{"cells": [
 {"cell_type": "markdown", "source": ["# T\\n", "words"]},
 {"cell_type": "code", "outputs": [], "source": ["class Rich:\\n", "    def _repr_html_(self): return '<b>\\\\n\\\\nx</b>'"]},
 {"cell_type": "code", "outputs": [], "source": ["print('said')\\n", "Rich()"]},
 {"cell_type": "code", "outputs": [], "source": ["1 + 1"]},
 {"cell_type": "code", "outputs": [], "source": ["None"]}
]}"""  # fmt: skip  # noqa: E501


def test_a_notebook_is_run_and_made_a_page(notebook: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text(CELLS, "utf-8")
    made = notebook.executed(path)
    assert [len(cell.get("outputs", "")) for cell in made["cells"]] == [0, 0, 2, 1, 0]
    assert made["cells"][3]["outputs"][0]["data"] == {"text/plain": ["2"]}
    path.write_text(json.dumps(made), "utf-8")
    page = notebook.as_markdown(path)
    assert page.startswith("# T\nwords\n\n```python\nclass Rich:")
    assert '```text\nsaid\n```\n\n<div class="output">\n<b>\nx</b>\n</div>' in page
    assert page.endswith("```python\nNone\n```\n")


def test_a_cell_that_fails_names_itself(notebook: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text(CELLS.replace("1 + 1", "1 / 0"), "utf-8")
    with pytest.raises(ZeroDivisionError) as caught:
        notebook.executed(path)
    assert "n.ipynb, cell 3" in str(caught.traceback[-1].path)
