"""Requests to models of which everything is known."""

from __future__ import annotations

from rlfocal.pool.types import Message, Request

__all__ = ["asked"]


def asked(prompt: str = "", **fields: object) -> Request:
    return Request((Message("user", prompt),), **fields)  # type: ignore[arg-type]
