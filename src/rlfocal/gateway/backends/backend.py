"""Something that answers a request: what a completion wants of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from rlfocal.deliberation.trace import Trace
from rlfocal.errors import MemberError, NobodyAnswered
from rlfocal.gateway.errors import ApiError
from rlfocal.live import Answer

__all__ = ["Backend", "OnText", "no_images"]

OnText = Callable[[str], None]


class Backend(Protocol):
    """Something under way."""

    trace: Trace
    ignored: tuple[str, ...]
    """Fields of the request that have no effect on who is asked, beside those of the request."""

    def most_usd(self) -> float | None:
        """Dollars that it may cost at most; None where a price is not known."""
        ...

    def run(
        self,
        deadline_s: float,
        max_usd: float,
        on_text: OnText | None,
        on_thought: OnText | None = None,
    ) -> Awaitable[Answer]:
        """Answer the request.

        Args:
            deadline_s: seconds.
            max_usd: dollars that must not be passed.
            on_text: called with pieces of the text where that is the answer whatever comes.
            on_thought: likewise with what a member thinks that is asked by its name.

        Raises:
            ApiError: there is no answer, and why.
            NobodyAnswered: no member of an ensemble has answered; `refusal` says what clients read.
            MemberError: one asked by its name has not; as above.
        """
        ...

    def refusal(self, error: NobodyAnswered | MemberError) -> ApiError:
        """What a client reads where nobody has answered."""
        ...

    def episode(self) -> dict[str, Any] | None:
        """What off-policy learning needs of it, once it has ended; None for nothing."""
        ...


def no_images(whose: str) -> ApiError:
    """That nobody who is asked can be shown images.

    Args:
        whose: of whom that is said, as the message begins.
    """
    return ApiError(
        400, "unsupported_parameter",
        f"{whose} images; say images = true for a member of the pool file whose model reads them, "
        "or send texts only",
        param="messages",
    )  # fmt: skip
