"""The `rlfocal` command: its verbs, and how an error becomes one line and an exit code.

Knows nothing of what the verbs do. Exit codes: 0 done, 2 the user can mend it (a wrong option, a
broken file, a place that cannot be written), 130 interrupted. Modules of verbs import nothing heavy
at their top, so that help is instant.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import rlfocal
from rlfocal.cli.ask import chat
from rlfocal.cli.gateway import keys as keys_verbs
from rlfocal.cli.gateway import shadow as shadow_verbs
from rlfocal.cli.gateway.serve import serve
from rlfocal.cli.importing import ImportGroup, recorded
from rlfocal.cli.local.blend import train_blend
from rlfocal.cli.local.examine import examine
from rlfocal.errors import RlfocalError

__all__ = ["app", "main"]

VERBS = (
    "quickstart", "collect", "export", "inspect", "diversity", "bench", "view", "train",
    "evaluate", "explain", "ask",
)  # fmt: skip
"""Each is a function of its own name in the module of its own name."""

SHORT = {
    "quickstart": "From recorded answers, or live LLMs, to advice.",
    "export": "Write collected answers as a data folder.",
    "view": "Show a report in the browser.",
}
"""Of verbs whose first sentence is longer than a line of `rlfocal --help`."""

USER_ERROR = 2
INTERRUPTED = 130
_UsageError: Any = typer.BadParameter.__bases__[0]
"""What is raised of a wrong option or verb: typer has no public name for it."""


class _Group(TyperGroup):
    """A group whose help is instant."""

    def get_help_option(self, ctx: Any) -> Any:
        """The option --help, off by default: to parse "unknown" typer would load pydantic."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option


class _Verbs(_Group):
    """Runs a verb and turns what went wrong into a message."""

    def make_context(self, *args: Any, **more: Any) -> Any:
        """Read what stands before the verb."""
        with _usage_told():
            return super().make_context(*args, **more)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; see the module for the exit codes."""
        try:
            with _usage_told():
                return super().invoke(ctx)
        except KeyboardInterrupt as exc:
            _say("interrupted")
            raise typer.Exit(INTERRUPTED) from exc
        except BrokenPipeError as exc:
            # Whoever read our output has left; without this the interpreter complains on exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from exc
        except (RlfocalError, OSError) as exc:
            if ctx.params["debug"]:
                raise
            _say(" ".join([f"error: {exc}", *(f"({note})" for note in _notes(exc))]))
            raise typer.Exit(USER_ERROR) from exc


@contextlib.contextmanager
def _usage_told() -> Iterator[None]:
    """Say what is wrong with a command as other errors are said, below its usage."""
    try:
        yield
    except _UsageError as exc:
        text = exc.format_message()
        if not text.startswith("Usage:"):  # which is help, where there is no verb at all
            text = f"error: {text[:1].lower()}{text[1:].rstrip('.')}"
            if exc.ctx is not None:
                text = f"{exc.ctx.get_usage()}\n{text}; see {exc.ctx.command_path} --help"
        _say(text)
        raise typer.Exit(USER_ERROR) from exc


def _notes(exc: BaseException) -> list[str]:
    """What was added on the way up: which job it was."""
    return getattr(exc, "__notes__", [])


def _say(message: str) -> None:
    typer.echo(message, err=True)


app = typer.Typer(
    name="rlfocal",
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # boxes around help cost 0.2 s at every start
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _Imports(_Group, ImportGroup):
    """Importers as verbs, with help that is instant elsewhere."""


importing = typer.Typer(
    cls=_Imports, no_args_is_help=True, help="Bring in what was recorded elsewhere."
)
app.add_typer(importing, name="import")
keys = typer.Typer(cls=_Group, no_args_is_help=True, help="Keys for clients of a gateway.")
app.add_typer(keys, name="keys")
shadow = typer.Typer(
    cls=_Group, no_args_is_help=True, help="Learn a better policy from judged answers."
)
app.add_typer(shadow, name="shadow")

blend = typer.Typer(
    cls=_Group, no_args_is_help=True, help="Local models that write one reply together."
)
app.add_typer(blend, name="blend")

for verb in VERBS:
    app.command(verb, short_help=SHORT.get(verb))(
        getattr(import_module(f"rlfocal.cli.{verb}"), verb)
    )
app.command("examine", short_help="Let local models say how likely stored replies are.")(examine)
app.command("serve")(serve)
app.command("chat")(chat)
importing.command("data", short_help="Put recorded answers into a database.")(recorded)
keys.command("add")(keys_verbs.add)
keys.command("list")(keys_verbs.list_keys)
keys.command("revoke")(keys_verbs.revoke)
keys.command("settle", short_help="Say what requests of a killed gateway came to.")(
    keys_verbs.settle
)
blend.command("train", short_help="Train a policy that weighs the models of a blend.")(train_blend)
shadow.command("learn", short_help="Learn a shadow from judged answers, and judge it.")(
    shadow_verbs.learn
)
shadow.command("list", short_help="List policies, with what shadows would gain.")(
    shadow_verbs.list_policies
)
shadow.command("promote", short_help="Let a shadow decide, if it is surely better.")(
    shadow_verbs.promote
)
shadow.command("rollback")(shadow_verbs.rollback)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rlfocal {rlfocal.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and stop."
        ),
    ] = False,
) -> None:
    """Make several LLMs answer better than any one of them, at a known cost.

    DATA is a folder of recorded answers, or a built-in pool: "localpool" (real answers of small
    local models), "localpool-readers" (the same with members that read them) or "demo" (simulated).
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line.

    Args:
        args: arguments without the program's name; None for those of this process.

    Raises:
        SystemExit: always, with the exit code.
    """
    app(args=args, prog_name="rlfocal")
