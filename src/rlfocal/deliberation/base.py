"""Defaults for strategies: settings, state, and no dial."""

from __future__ import annotations

import copy
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, get_type_hints

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from rlfocal.deliberation.dial import checked_price, most_worth
from rlfocal.deliberation.progress import Progress
from rlfocal.deliberation.protocol import Need, Spec, State
from rlfocal.deliberation.state import Row, names_of, nested, prefixed, without_prefix
from rlfocal.deliberation.view import Decision, Memory, View
from rlfocal.errors import ConfigError, nearest
from rlfocal.executor import Executor
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable

__all__ = ["Acting", "Base", "OneRound"]


class Acting(NamedTuple):
    """The policy that acts at a strategy's present dial, where it may choose among several."""

    name: str
    why: str
    stands_in: bool
    """True where it takes the place of what was learned."""


class Base:
    """Defaults of a strategy: it needs nothing, has no dial, and is deterministic.

    Settings are the keyword arguments of the constructor, kept as attributes of the same names.
    Fitted attributes have names that end in one underscore: arrays, numbers, and other strategies,
    which are named in `parts`. A strategy with other fitted attributes writes `state` and `restore`
    itself.
    """

    name: str = ""
    needs: ClassVar[frozenset[Need]] = frozenset()
    packages: tuple[str, ...] = ()
    """Packages that fitting needs, of those that an extra brings (`rlfocal.extras.EXTRAS`); what is
    fitted acts without them."""
    former: ClassVar[tuple[str, ...]] = ()
    """What was different in each form of checkpoint that earlier builds wrote and this one cannot
    read, oldest first; their number and one is the form of today's."""
    stochastic: ClassVar[bool] = False
    """True when another seed gives another result; others are run once for all seeds."""
    learned: ClassVar[bool] = False
    """True for strategies whose decisions are learned by reinforcement: reports put them beside the
    best of the others."""
    follows_memory: ClassVar[bool] = False
    """True when `follow` uses recent labels."""
    slow_to_fit: ClassVar[bool] = False
    """True when fitting takes more than seconds, so that it is not refitted often."""
    fits_on_window: ClassVar[bool] = False
    """True when so few numbers are fitted that some hundred recent queries are enough."""
    trusts_agreement: ClassVar[bool] = False
    """True when it was fitted on no label, so that members which fail together are believed."""
    dial: ClassVar[str] = ""
    """The setting that trades accuracy for calls, "price" or another one; empty where there is
    none."""
    fitted: ClassVar[Mapping[str, Row]] = {}
    """Layouts of fitted arrays, by their names without the underscore."""
    parts: ClassVar[Mapping[str, Callable[[], Base]]] = {}
    """Fitted attributes that are strategies, by their names without the underscore."""
    price: float | None = None
    """Lambda, the price of an average call that it was set by; None where it was set otherwise."""
    on_progress: Callable[[Progress], None] | None = None
    """Called while it is fitted, where that takes long."""
    executor: Executor | None = None
    """Where parts of its fit that do not depend on one another run; None for here. It changes no
    figure."""

    if TYPE_CHECKING:  # not at run time: a point of comparison derives from this, too
        measured_: NDArray[np.float64]

        def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self: ...  # noqa: D102
        def decide(self, view: View) -> Decision: ...  # noqa: D102

    if not TYPE_CHECKING:  # types know what is fitted

        def __getattr__(self, name: str) -> Any:
            """Say of a fitted attribute that is not there why it is not.

            Raises:
                AttributeError: always; this is asked for what is missing alone.
            """
            kind = type(self).__name__
            if not name.endswith("_") or name.startswith("_"):
                raise AttributeError(f"'{kind}' object has no attribute '{name}'")
            raise AttributeError(
                f"this {kind} is not fitted, so it has no '{name}': rlfocal.train fits one, and so "
                "does its fit"
            )

    # Settings ----------------------------------------------------------------------------------

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Make one unfitted from plain values.

        Raises:
            ConfigError: a setting is unknown or has a value that it cannot have.
        """
        model = _settings_model(cls)
        for key in settings:
            if key not in model.model_fields:
                raise ConfigError(
                    f"{cls.name}: unknown setting '{key}'; {nearest(key, model.model_fields)}"
                )
        try:
            values = model(**settings)
        except ValidationError as exc:
            first = exc.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            raise ConfigError(
                f"{cls.name}: {key}: {first['msg']}, found {first['input']!r}"
            ) from None
        try:
            return cls(**{key: getattr(values, key) for key in values.model_fields_set})
        except ValueError as exc:
            raise ConfigError(f"{cls.name}: {exc}") from exc

    @property
    def spec(self) -> Spec:
        """Name and settings."""
        return Spec(self.name, {key: _plain(getattr(self, key)) for key in _arguments(type(self))})

    # State -------------------------------------------------------------------------------------

    def state(self) -> State:
        """All fitted arrays, by name without the underscore.

        Raises:
            TypeError: a fitted attribute is neither array nor number; the strategy has to write
                `state` and `restore` itself.
        """
        found: State = {}
        for attribute, value in vars(self).items():
            if attribute.startswith("_") or not attribute.endswith("_"):
                continue
            key = attribute[:-1]
            if key in self.parts:
                found |= prefixed(key, value.state())
                continue
            array = np.asarray(value)
            if array.dtype.kind not in "biuf":
                raise TypeError(
                    f"{self.name}: '{attribute}' is a {type(value).__name__}, no array of numbers; "
                    "write state() and restore() for it"
                )
            found[key] = array
        return found

    def restore(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`; numbers come back as numbers, and sequences of them as arrays."""
        own = dict(state)
        for part, make in self.parts.items():
            inner = without_prefix(part, own)
            setattr(self, f"{part}_", make().restore(inner))
            own = {key: array for key, array in own.items() if not key.startswith(f"{part}.")}
        for key, array in own.items():
            setattr(self, f"{key}_", array if array.ndim else array.item())
        return self

    def layout(self, present: Collection[str]) -> dict[str, Row]:
        """The layout of the arrays of `state`.

        Args:
            present: names of arrays that a file holds, which say which optional ones are there.
        """
        rows = dict(self.fitted)
        for part, make in self.parts.items():
            rows |= nested(part, make().layout(names_of(part, present)), rows)
        return rows

    def axes(self) -> dict[str, int]:
        """Lengths of axes that follow from the settings, by letter."""
        return {}

    def training_table(self, table: ResponseTable) -> ResponseTable:
        """The table to fit on for use on other queries: with one more task, without queries.

        So the fitted strategy has statistics for an unknown task.
        """
        return table.with_tasks(table.tasks)

    # Settings of a fitted strategy -------------------------------------------------------------

    @property
    def dials(self) -> tuple[float, ...]:
        """Settings of the dial worth showing, cheapest first; none where there is no dial."""
        return ()

    @property
    def prices(self) -> tuple[float, ...]:
        """Prices that it was trained for, dearest first; none where it takes any, or none."""
        return self.dials if self.dial == "price" else ()

    @property
    def setting(self) -> float | None:
        """Where its dial stands; None where there is no dial, or it was left open."""
        return getattr(self, self.dial) if self.dial else None

    def at(self, price: float) -> Self:
        """Return the same fitted strategy at another price; itself where there is nothing to set.

        Args:
            price: lambda, what an average call costs as a share of a right answer's worth.

        Raises:
            ValueError: a price that it cannot have, or the strategy does not know what its settings
                earn.
        """
        if not self.dial:
            return self
        price = checked_price(price)
        if self.dial == "price":
            return self._with(price=price)
        return self.with_dial(self.setting_at(price))._with(price=price)

    def at_price(self, price: float | None) -> Self:
        """The same as `at`, for a price that a user names; itself for None.

        Raises:
            ConfigError: there is no dial to set by a price, or no such price.
        """
        if price is None:
            return self
        if not self.dial:
            raise ConfigError(f"price: {self.name} has no price of a call; leave it out")
        try:
            return self.at(price)
        except ValueError as exc:
            raise ConfigError(f"price: {exc}") from exc

    def with_dial(self, value: float) -> Self:
        """Return the same fitted strategy at another setting of its own dial.

        Raises:
            ValueError: there is no dial, or it has no such setting.
        """
        if not self.dial:
            raise ValueError(f"{self.name} has nothing to set: no price and no other dial")
        if self.dial == "price":
            return self.at(value)
        return self._with(**{self.dial: value, "price": None})

    def setting_at(self, price: float) -> float:
        """The setting of a dial that is no price: what earned most in training, less its calls.

        It reads `measured_`, float64[s, 3], which `fit` leaves: settings, their mean scores, their
        mean costs in average calls.

        Raises:
            ValueError: there is no such array.
        """
        if not hasattr(self, "measured_"):
            raise ValueError(
                f"{self.name} takes no price: its fit does not measure what settings of its "
                f"'{self.dial}' earn; set '{self.dial}' itself"
            )
        setting, score, cost = self.measured_.T
        return float(setting[most_worth(score, cost, price)])

    def _with(self, **settings: Any) -> Self:
        """A copy with other settings."""
        other = copy.copy(self)
        for name, value in settings.items():
            setattr(other, name, value)
        return other

    def foreseeing(self, task: IntArray, features: FloatArray) -> Self:
        """The same fitted strategy for one table of queries, to be replayed at several settings.

        What it says of a query by task and text alone it may find out once, for all of them;
        `View.position` then names the query. Itself if there is no such thing.

        Args:
            task: int64[Q].
            features: float32[Q, D].
        """
        return self

    def follow(self, memory: Memory) -> Self:
        """The same strategy adapted to recent labelled queries; itself if it ignores them."""
        return self

    def alone(self) -> Self:
        """The strategy where a member has failed: without the learned policy's rivals."""
        return self

    # Description ------------------------------------------------------------------------------

    @property
    def reads_replies(self) -> bool:
        """True where decisions depend on `View.replies`: then no answer alone foretells them."""
        return False

    @property
    def votes_only_help(self) -> bool:
        """True where an answer adds something to the candidate it names, and does nothing else.

        Then no mixture of answers beats a leader that they could not beat by all being the same. So
        it is not where a vote may count against its candidate or by who else has answered, or where
        answers say whom to ask.
        """
        return False

    @property
    def ranking(self) -> IntArray | None:
        """int64[N]: the members, the best first, where it ranks them itself."""
        return None

    @property
    def acting(self) -> Acting | None:
        """The policy that acts at the present dial, where it may choose among several."""
        return None

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """The training log, iteration by iteration."""
        return ()

    def verdicts(self) -> list[dict[str, str | float]]:
        """The policy that acts at each price and the evidence, for people; empty without rivals."""
        return []


class OneRound(Base, ABC):
    """Asks once and then fuses: a subclass writes `fuse`, and `first` where not all are asked."""

    def first(self, view: View) -> BoolArray:
        """bool[B, N]: members to ask; all of them."""
        return np.ones_like(view.asked)

    @abstractmethod
    def fuse(self, view: View) -> FloatArray:
        """float32[B, C]: the probability of each candidate answer, see `Decision.answer`."""

    def decide(self, view: View) -> Decision:
        """Ask in the first round; after it, fuse."""
        begins = view.n_rounds == 0
        ask = self.first(view) & begins[:, None] if begins.any() else np.zeros_like(view.asked)
        if not view.asked.any():
            return Decision(ask, np.zeros(view.available.shape, dtype=np.float32))
        return Decision(ask, self.fuse(view))


def _arguments(kind: type[Base]) -> dict[str, inspect.Parameter]:
    """Keyword arguments of the constructor."""
    every = inspect.signature(kind.__init__).parameters.values()
    skipped = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {p.name: p for p in every if p.name != "self" and p.kind not in skipped}


def _settings_model(kind: type[Base]) -> type[BaseModel]:
    hints = get_type_hints(kind.__init__)
    fields: dict[str, Any] = {
        name: (hints.get(name, Any), ... if p.default is inspect.Parameter.empty else p.default)
        for name, p in _arguments(kind).items()
    }
    return create_model("Settings", __config__=ConfigDict(extra="forbid"), **fields)


def _plain(value: Any) -> Any:
    """A setting as a JSON value: non-finite numbers become words that read back."""
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    value = value.item() if isinstance(value, np.generic) else value
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
