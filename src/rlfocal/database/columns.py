"""Types of columns that hold the same on every engine."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import sqlalchemy as sa

from rlfocal.tokens import TokenLogprobs

__all__ = ["JsonText", "Key", "Position", "SafeText", "TokenBytes", "columns"]


class SafeText(sa.types.TypeDecorator[str]):
    """A text that every engine can store: a NUL or half a surrogate pair becomes U+FFFD."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Clean a text on its way in."""
        if value is None:
            return None
        cleaned = value.replace("\x00", "\ufffd")
        return cleaned if cleaned.isascii() else "".join(map(_whole, cleaned))


class JsonText(sa.types.TypeDecorator[Any]):
    """A JSON value as ASCII text, the same on every engine; None is NULL."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        """To text."""
        return None if value is None else json.dumps(value, allow_nan=False)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        """From text."""
        return None if value is None else json.loads(value)


class TokenBytes(sa.types.TypeDecorator[TokenLogprobs]):
    """Tokens of a reply, in eight bytes each: all lengths (int32), then all numbers (float32).

    The bytes of both are in the order that most machines have, the least first.
    """

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: TokenLogprobs | None, dialect: sa.Dialect) -> bytes | None:
        """To bytes."""
        if value is None:
            return None
        return value.chars.astype("<i4").tobytes() + value.logprob.astype("<f4").tobytes()

    def process_result_value(
        self, value: bytes | None, dialect: sa.Dialect
    ) -> TokenLogprobs | None:
        """From bytes."""
        if value is None:
            return None
        middle = len(value) // 2
        return TokenLogprobs(
            np.frombuffer(value[:middle], dtype="<i4").astype(np.int32),
            np.frombuffer(value[middle:], dtype="<f4").astype(np.float32),
        )


def _whole(character: str) -> str:
    return "\ufffd" if "\ud800" <= character <= "\udfff" else character


Key = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
"""A digest or another short name, compared byte by byte."""
Position = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""As a primary key: the order in which rows came."""


def columns(kind: Any, *names: str, nullable: bool = False) -> list[sa.Column[Any]]:
    """Columns of one type, one after another."""
    return [sa.Column(name, kind, nullable=nullable) for name in names]
