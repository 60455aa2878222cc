"""Builds the page of verbs from the program, so that it cannot be out of date; puts notebooks in.

Links of a page to files outside docs/ work where the sources are read; on the site they are text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

import click
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from notebook import as_markdown  # beside this file

from rlfocal.cli.main import app

_NOTEBOOK = re.compile(r"<!-- notebook: (\S+) -->")
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s:]+)\)")


def on_page_markdown(markdown: str, *, files: Files, page: Any, **_: Any) -> str:
    """Put a notebook in where a page names it, and take links off that lead out of the site."""
    known = {file.src_uri for file in files}

    def replaced(link: re.Match[str]) -> str:
        target = posixpath.join(posixpath.dirname(page.file.src_uri), link[2].partition("#")[0])
        target = posixpath.normpath(target)
        return link[0] if target in known or not target.startswith("..") else link[1]

    def notebook(marker: re.Match[str]) -> str:
        text = as_markdown(Path(page.file.abs_src_path).parent / marker[1])
        return re.sub(r"\A# .*\n", "", text)  # the page has a heading

    return _NOTEBOOK.sub(notebook, _LINK.sub(replaced, markdown))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    root = typer.main.get_command(app)
    text = "# Verbs and options\n\nMade from the program; [its ways](../command-line.md).\n"
    text += "".join(_described(root, "rlfocal"))
    files.append(File.generated(config, "reference/verbs.md", content=text))
    return files


def _described(command: click.Command, name: str) -> list[str]:
    """A section for a verb, or for each verb of a group."""
    context = click.Context(command, info_name=name)
    if isinstance(command, click.Group):
        verbs = [command.get_command(context, verb) for verb in command.list_commands(context)]
        return [
            part
            for verb in verbs
            if verb is not None and verb.name is not None and not verb.hidden
            for part in _described(verb, f"{name} {verb.name}")
        ]
    lines = [
        f"\n## {name}\n\n{command.help or ''}\n\n| argument or option | meaning |\n|:--|:--|\n"
    ]
    for parameter in command.params:
        shown = ", ".join(f"`{option}`" for option in parameter.opts)
        if isinstance(parameter, click.Argument):
            shown = f"`{parameter.human_readable_name}`"
        said = " ".join((getattr(parameter, "help", None) or "").split()).replace("|", "\\|")
        lines.append(f"| {shown} | {said} |\n")
    return lines
