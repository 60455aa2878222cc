"""Whether anything of a reply has been told: what has cannot be taken back."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Told"]


class Told:
    """Passes pieces of a text on, and knows whether there were any.

    Args:
        tell: is told of them; None for nobody.
    """

    def __init__(self, tell: Callable[[str], None] | None) -> None:
        self._tell, self.something = tell, False

    def __call__(self, text: str) -> None:
        """Pass one on."""
        self.something = True
        if self._tell is not None:
            self._tell(text)
