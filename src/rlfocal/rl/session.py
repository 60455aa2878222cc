"""Training of `rl-focal` that may be stopped after any iteration and go on later.

Knows how the state of a run is taken apart into named arrays, and nothing of where they are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from rlfocal.deliberation.progress import Progress
from rlfocal.deliberation.protocol import RunState, State
from rlfocal.deliberation.state import without_prefix
from rlfocal.records import ResponseTable
from rlfocal.rl.config import RlFocalConfig
from rlfocal.rl.nets import one_thread
from rlfocal.rl.trainer import Trainer, TrainingState

__all__ = ["TrainingRun"]

S = TypeVar("S")
_NETS = ("decider", "critic", "averaged", "fusion")


class TrainingRun(Generic[S]):
    """A `Run` whose steps are iterations of the Decider; Fusion is fitted when it is made.

    Args:
        adopt: makes a strategy of what a trainer has learned.
        table: labelled training queries, supports calibrated.
        config: settings.
        seed: source of all randomness.
        state: of a run of the same table, settings and seed, to go on with.
        on_progress: called after each epoch of Fusion and each iteration of the Decider.
    """

    def __init__(
        self,
        adopt: Callable[[Trainer], S],
        table: ResponseTable,
        config: RlFocalConfig,
        *,
        seed: int,
        state: RunState | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._adopt = adopt
        nets = {} if state is None else {name: _tensors(name, state.arrays) for name in _NETS}
        with one_thread():
            self._trainer = Trainer(
                table, config, seed=seed, on_progress=on_progress, fusion=nets.pop("fusion", None)
            )
            if state is not None:
                self._trainer.restore(_training_state(state, nets))

    @property
    def done(self) -> bool:
        """True when there is nothing more to learn."""
        return self._trainer.done

    def advance(self, n_steps: int) -> None:
        """Make so many iterations, or as many as there are left."""
        with one_thread():
            self._trainer.train(n_steps)

    def state(self) -> RunState:
        """Weights of all nets and the optimizer's moments; counters and what was logged."""
        state, trainer = self._trainer.state(), self._trainer
        fusion = trainer.foundation.fusion.state_dict()
        nets = (state.decider, state.critic, state.averaged, fusion)
        arrays: State = {}
        for name, net in zip(_NETS, nets, strict=True):
            arrays |= {f"{name}.{key}": weight.numpy() for key, weight in net.items()}
        for index, moments in state.optimizer["state"].items():
            arrays |= {f"optimizer.{index}.{key}": t.numpy() for key, t in moments.items()}
        rest = {
            "iteration": state.iteration, "history": state.history,
            "param_groups": state.optimizer["param_groups"],
        }  # fmt: skip
        return RunState(arrays, rest)

    def strategy(self) -> S:
        """What was learned so far."""
        with one_thread():
            return self._adopt(self._trainer)


def _training_state(state: RunState, nets: Mapping[str, dict[str, Tensor]]) -> TrainingState:
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _tensors("optimizer", state.arrays).items():
        index, _, part = name.partition(".")
        moments.setdefault(int(index), {})[part] = tensor
    rest: Mapping[str, Any] = state.rest
    optimizer = {"state": moments, "param_groups": rest["param_groups"]}
    return TrainingState(
        iteration=rest["iteration"], optimizer=optimizer, history=rest["history"], **nets
    )


def _tensors(prefix: str, arrays: State) -> dict[str, Tensor]:
    found = without_prefix(prefix, arrays)
    return {name: torch.from_numpy(np.array(array)) for name, array in found.items()}
