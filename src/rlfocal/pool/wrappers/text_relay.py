"""Passes a reply's text on as it comes, and records whether any of it was passed on.

Text that has been passed on cannot be taken back, so such a call must not be repeated.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["TextRelay"]


class TextRelay:
    """Passes pieces of a text on, and knows whether there were any.

    Args:
        on_text: called with each piece; None to pass nothing on.
    """

    def __init__(self, on_text: Callable[[str], None] | None) -> None:
        self._on_text, self.started = on_text, False

    def __call__(self, text: str) -> None:
        """Pass a piece on."""
        self.started = True
        if self._on_text is not None:
            self._on_text(text)
