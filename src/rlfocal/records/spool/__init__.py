"""Tables that need not fit into memory: rows on disk, of which a few are read at a time."""

from rlfocal.records.spool.queries import OpenQuestions, open_queries
from rlfocal.records.spool.rows import Rows

__all__ = ["OpenQuestions", "Rows", "open_queries"]
