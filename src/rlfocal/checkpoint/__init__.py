"""Trained strategies on disk: one writer and one reader, whatever the strategy."""

from rlfocal.checkpoint.description import SCHEMA_VERSION, Description, read_description
from rlfocal.checkpoint.files import Checkpoint, load_checkpoint, query_hashes, save_checkpoint

__all__ = [
    "SCHEMA_VERSION",
    "Checkpoint",
    "Description",
    "load_checkpoint",
    "query_hashes",
    "read_description",
    "save_checkpoint",
]
