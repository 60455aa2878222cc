"""What a request sets going: an ensemble that deliberates, or one member asked by its name."""

from rlfocal.gateway.backends.backend import Backend, OnText
from rlfocal.gateway.backends.ensemble import EnsembleBackend
from rlfocal.gateway.backends.member import MemberBackend
from rlfocal.gateway.backends.reading import ReadingBackend, stages_before

__all__ = [
    "Backend",
    "EnsembleBackend",
    "MemberBackend",
    "OnText",
    "ReadingBackend",
    "stages_before",
]
