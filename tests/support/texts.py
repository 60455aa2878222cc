"""Simulated queries that are others than those of another simulation, whose texts are the same."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from rlfocal.records import Dataset


def with_own_texts(dataset: Dataset) -> Dataset:
    """The data set with its name in every prompt: queries are told by their texts."""
    texts = [f"{text} ({dataset.name})" for text in dataset.queries["prompt"].to_pylist()]
    place = dataset.queries.column_names.index("prompt")
    return replace(dataset, queries=dataset.queries.set_column(place, "prompt", pa.array(texts)))
