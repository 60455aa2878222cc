"""How long the reader of calls takes for texts that repeat one piece."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rlfocal.toolcalls import ToolCallExtractor


def seconds_to_read(
    reader: ToolCallExtractor, starts: Iterable[str], piece: str, times: int
) -> float:
    """CPU seconds for `piece`, `times` times over behind each start, ending there and in a word."""
    texts = [start + piece * times for start in starts]
    begun = time.process_time()
    for text in texts:
        reader.extract(text)
        reader.extract(text + "x")
    return time.process_time() - begun
