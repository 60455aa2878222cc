"""Runs a notebook's cells and keeps what they show; turns one into a page of the site.

`python docs/notebook.py examples/tutorial.ipynb` writes the outputs anew. Cells run one after
another in this process, and what they show is what Jupyter would: what is printed, and the value of
a last expression by its `_repr_html_`, `_repr_svg_` and `repr`.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

__all__ = ["as_markdown", "executed"]

_RICH = {"text/html": "_repr_html_", "image/svg+xml": "_repr_svg_"}


def executed(path: Path) -> dict[str, Any]:
    """The notebook with the outputs of a run from its first cell to its last."""
    notebook: dict[str, Any] = json.loads(path.read_text("utf-8"))
    names: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            where = f"{path.name}, cell {count}"
            cell["outputs"] = _outputs("".join(cell["source"]), where, names, count)
            cell["execution_count"] = count
    return notebook


def as_markdown(path: Path) -> str:
    """The notebook's texts, code and kept outputs as one page."""
    parts = []
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        parts += [_shown(output) for output in cell["outputs"]]
    return "\n\n".join(parts) + "\n"


def _outputs(source: str, where: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    body = ast.parse(source, where).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), where, "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), where, "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"name": "stdout", "output_type": "stream", "text": text})
    if value is not None:
        data = {
            kind: getattr(value, name)() for kind, name in _RICH.items() if hasattr(value, name)
        }
        outputs.append(
            {
                "data": {
                    kind: text.splitlines(keepends=True)
                    for kind, text in (data | {"text/plain": repr(value)}).items()
                },
                "execution_count": count,
                "metadata": {},
                "output_type": "execute_result",
            }
        )
    return outputs


def _shown(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return f"```text\n{''.join(output['text']).rstrip()}\n```"
    data = output["data"]
    for kind in _RICH:
        if kind in data:
            # A block of HTML ends at a blank line that stands outside of its tags' lines.
            rich = "\n".join(line for line in "".join(data[kind]).splitlines() if line.strip())
            return f'<div class="output">\n{rich}\n</div>'
    return f"```text\n{''.join(data['text/plain']).rstrip()}\n```"


if __name__ == "__main__":
    for given in map(Path, sys.argv[1:]):
        text = json.dumps(executed(given), indent=1, ensure_ascii=False)
        given.write_text(text + "\n", "utf-8")
