"""Settings of the learned strategies. Unknown keys are errors; every field says what it does.

Names follow CleanRL where it has one: clip_coef, ent_coef, vf_coef, gae_lambda, gamma, target_kl.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import Field, model_validator

from rlfocal.settings import Settings

__all__ = ["PaperConfig", "PpoConfig", "PriorConfig", "RlFocalConfig", "Rounds"]

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class PpoConfig(Settings):
    """Proximal policy optimisation, as every agent uses it."""

    learning_rate: Positive = 1e-3
    """Adam's step size at the start; it falls linearly to a tenth."""
    n_epochs: Count = 3
    """Passes over each rollout."""
    minibatch_size: Count = 512
    """States per gradient step."""
    clip_coef: Positive = 0.2
    """The ratio of new to old probability is clipped to 1 ± this."""
    ent_coef: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    """Weight of the entropy bonus at the start; it falls linearly to zero."""
    vf_coef: Positive = 0.5
    """Weight of the critic's squared error."""
    gamma: Fraction = 1.0
    """Discount per decision; episodes end, so 1 is the honest value."""
    gae_lambda: Fraction = 0.95
    """Decay of generalised advantage estimation."""
    max_grad_norm: Positive = 0.5
    """Gradients are scaled down to this norm."""
    target_kl: Positive | None = 0.03
    """Stop the epochs of an update when the policy moved further than this; null for never."""


class Rounds(NamedTuple):
    """How choices are gathered: the members of a round are asked at once and answer together."""

    price: float = 0.0
    """mu: what a round costs, as a fraction of a right answer's worth."""
    most: int | None = None
    """Most rounds of a query; None for no limit."""


class RlFocalConfig(Settings):
    """The preset `rl-focal`: rounds, query features, cost in every reward, equivariant nets."""

    ppo: PpoConfig = PpoConfig(learning_rate=2e-3, n_epochs=2, minibatch_size=1024)
    """The Decider's and the critic's optimisation."""
    n_iterations: Count = 150
    """Rollouts, each followed by an update."""
    n_episodes: Count = 512
    """Queries per rollout, drawn from the training queries."""
    price_min: Positive = 0.001
    """Least lambda: the price of an average call, as a fraction of a right answer's worth."""
    price_max: Positive = 0.3
    """Highest lambda; in training it is drawn log-uniformly between the two."""
    default_price: Positive = 0.002
    """The dial when none is given."""
    round_price: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """mu: the price of a round of any size, as a fraction of a right answer's worth."""
    max_rounds: Count | None = None
    """Most rounds of a query: 1 chooses a whole ensemble at once; null for no limit."""
    learn_from: Count = 500
    """Labelled queries from which on the Decider trains; with fewer it acts as the prior does."""
    n_folds: Annotated[int, Field(ge=2)] = 3
    """Inner folds of the cross-fitted Fusion."""

    retired: ClassVar[Mapping[str, Any]] = {
        "credit": "counterfactual", "focal": "observation", "query_text": True,
        "task_known": True, "central_critic": True,
    }  # fmt: skip
    """Settings of earlier builds, each with the value that is the only one now."""
    gone: ClassVar[tuple[str, ...]] = ("fusion_epochs", "fusion_patience", "hidden")
    """Settings of earlier builds' nets."""

    @model_validator(mode="before")
    @classmethod
    def _without_retired(cls, values: Any) -> Any:
        """Read the settings of an earlier build where they describe what this one does."""
        if gone := sorted(set(cls.gone) & set(values)):
            raise ValueError(
                f"{gone[0]} is a setting of an earlier build, whose agents were other nets: leave "
                "it out; what was trained with it must be trained again"
            )
        for name, only in cls.retired.items():
            if values.get(name, only) != only:
                raise ValueError(
                    f"{name} = {values[name]!r} is a setting of an earlier build; this one knows "
                    f"only {name} = {only!r}"
                )
        return {k: v for k, v in values.items() if k not in (*cls.retired, "focal_coef")}

    @property
    def rounds(self) -> Rounds | None:
        """How choices are gathered into rounds; None where each is sent at once.

        Without a price or a limit of rounds nothing is gained by asking before an answer is known.
        """
        if self.round_price == 0 and self.max_rounds is None:
            return None
        return Rounds(self.round_price, self.max_rounds)


class PriorConfig(Settings):
    """The preset `rl-focal-prior`: learned from simulated pools; nothing is trained on this one."""

    default_price: Positive = 0.005
    """The dial when none is given: lambda, as in `rl-focal`."""
    zero_shot: bool = False
    """Use no label at all: the statistics are those of any pool until labelled queries come in."""


class PaperConfig(Settings):
    """The preset `rl-focal-paper`: one round, the paper's observation, rewards and nets."""

    ppo: PpoConfig = PpoConfig(n_epochs=4, minibatch_size=100, ent_coef=0.02)
    """Optimisation of both agents and their critics."""
    n_passes: Count = 12
    """Passes over the training queries for each of the two stages."""
    update_every: Count = 100
    """Queries per update."""
    n_streams: Count = 20
    """Streams walked side by side; each sees its own order of the training queries."""
    window: Count = 500
    """W: labelled queries that the ensemble score looks back on."""
    focal_weight: Fraction = 0.5
    """Share of focal diversity in the ensemble score; the rest is plurality accuracy."""
    alpha: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.6
    """Charge for asking all N members when the vote is wrong; m of them cost alpha · m / N."""
    beta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.1
    """The same charge when the vote is right (the released code charges nothing)."""
    hidden: Count = 128
    """Width of the Decider's hidden layer."""
    fusion_hidden: Count = 100
    """Width of Fusion's two hidden layers."""
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of the training queries, above 0 and below 1, on which the best policy is picked."""
