"""The prior on disk: one safetensors file of weights and a JSON card that describes their training.

The card names the sha256 of the weights and is checked when they are loaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from rlfocal.agents.arrays import Layers, Weights, checked
from rlfocal.agents.prior import decider, fusion
from rlfocal.deliberation.protocol import State
from rlfocal.deliberation.state import without_prefix
from rlfocal.errors import CheckpointError
from rlfocal.files import check_writable, replace_file

__all__ = [
    "SHIPPED",
    "Card",
    "Prior",
    "load_prior",
    "prior_of",
    "read_card",
    "save_prior",
    "shipped_prior",
    "state_of",
]

SHIPPED = Path(__file__).parent / "weights"
"""Folder of the weights inside the package."""
_CARD, _WEIGHTS = "card.json", "prior.safetensors"


class Card(BaseModel):
    """Contents of card.json."""

    model_config = ConfigDict(extra="forbid")

    name: str = "rl-focal-prior"
    recipe: str
    seed: int
    minutes: float
    """Wall-clock training time; with another machine the same seed makes other weights."""
    simulator_version: int
    created: str
    """UTC, ISO 8601."""
    machine: str
    price_min: float
    price_max: float
    fusion_hidden: int
    decider_hidden: int
    n_parameters: dict[str, int]
    validation: dict[str, dict[str, float]]
    """On held-out simulated pools."""
    limits: list[str]
    weights_file: str = _WEIGHTS
    weights_sha256: str = ""


class Prior(NamedTuple):
    """The trained agents' weights, as numpy arrays, with their card."""

    fusion: Weights
    """Of `fusion.layers(card.fusion_hidden)`."""
    decider: Weights
    """Of `decider.layers(card.decider_hidden)`."""
    card: Card


def save_prior(folder: Path, prior: Prior) -> Path:
    """Write weights and card; the card comes last, so that it never names other weights.

    Raises:
        ConfigError: the folder cannot be written.
    """
    check_writable(folder)
    data = save(_weights(prior))
    card = prior.card.model_copy(update={"weights_sha256": hashlib.sha256(data).hexdigest()})
    text = json.dumps(card.model_dump(mode="json"), indent=1) + "\n"
    replace_file(folder / _WEIGHTS, lambda path: path.write_bytes(data))
    replace_file(folder / _CARD, lambda path: path.write_text(text, encoding="utf-8"))
    return folder / _CARD


def read_card(folder: Path) -> Card:
    """Read the card of a prior.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    path = folder / _CARD
    try:
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
        return Card.model_validate(raw)
    except (OSError, ValueError, ValidationError) as exc:
        raise CheckpointError(f"{path}: not a readable card of a prior: {exc}") from exc


def load_prior(folder: Path) -> Prior:
    """Load a prior that `save_prior` wrote.

    Raises:
        CheckpointError: files are missing, damaged, or do not belong together.
    """
    card = read_card(folder)
    path = folder / card.weights_file
    try:
        data = path.read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if found != card.weights_sha256:
            raise CheckpointError(
                f"{path}: its sha256 is {found}, the card names {card.weights_sha256}; "
                "train the prior again or restore both files"
            )
        return _assemble(card, load(data))
    except (OSError, SafetensorError, KeyError, RuntimeError) as exc:
        raise CheckpointError(f"{path}: not the weights of a prior: {exc}") from exc


@cache
def shipped_prior() -> Prior:
    """The prior inside the package."""
    return load_prior(SHIPPED)


def state_of(prior: Prior) -> State:
    """Card and weights as the state of a strategy holds them.

    A later package may ship another prior, and what was trained against one must be served with it.
    """
    card = prior.card.model_dump_json().encode()
    return {"card": np.frombuffer(card, dtype=np.uint8), **_weights(prior)}


def prior_of(state: Mapping[str, NDArray[Any]]) -> Prior:
    """Undo `state_of`; other arrays are left alone.

    Raises:
        KeyError, RuntimeError: a weight is missing or has another shape.
        ValueError: the card is damaged.
    """
    try:
        card = Card.model_validate_json(state["card"].tobytes())
    except ValidationError:
        raise ValueError("the array 'card' holds no card of a prior") from None
    return _assemble(card, state)


def _weights(prior: Prior) -> State:
    # By value: the shipped prior is one for all strategies, and a state may be written to.
    nets = {"fusion": prior.fusion, "decider": prior.decider}
    return {f"{name}.{key}": a.copy() for name, net in nets.items() for key, a in net.items()}


def _assemble(card: Card, weights: Mapping[str, NDArray[Any]]) -> Prior:
    return Prior(
        _checked("fusion", weights, fusion.layers(card.fusion_hidden)),
        _checked("decider", weights, decider.layers(card.decider_hidden)),
        card,
    )


def _checked(agent: str, weights: Mapping[str, NDArray[Any]], layers: Layers) -> Weights:
    try:
        found = checked(without_prefix(agent, weights), layers)
    except (KeyError, RuntimeError) as exc:
        raise type(exc)(f"{agent}: {exc.args[0]}, as in the card") from None
    return {name: array.copy() for name, array in found.items()}
