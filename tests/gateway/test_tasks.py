"""A question's task: shown to the strategy where the client names one of training, else unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rlfocal.deliberation.view import View
from rlfocal.live.state import QueryState

OPTIONS = ["0", "1", "2", "3"]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Tasks in the views that strategies decide by."""
    seen, view = set[int](), QueryState.view

    def noted(state: QueryState) -> View:
        found = view(state)
        seen.update(found.task.tolist())
        return found

    monkeypatch.setattr(QueryState, "view", noted)
    return seen


@pytest.mark.parametrize(
    ("own", "ignored"),
    [({}, None), ({"task": "choices"}, None), ({"task": "no such task"}, ["rlfocal.task"])],
    ids=["none", "of training", "of another name"],
)
def test_a_task_is_known_only_where_the_client_names_one_of_training(
    own: dict[str, str],
    ignored: list[str] | None,
    serve: Callable[..., Any],
    ask: Callable[..., Any],
    shown: set[int],
) -> None:
    with serve() as (served, _):
        tasks = served.gateway.checkpoint.description.tasks
        shown.clear()
        reply = ask(served, "Which remainder has 3 + 4?", extension={"choices": OPTIONS, **own})
        assert reply.status_code == 200, reply.text
    known = tasks.index("choices") if own.get("task") in tasks else len(tasks)
    assert shown == {known}
    assert reply.json()["rlfocal"].get("ignored") == ignored
