"""Query text → vector. An encoder is stateless, so that training and serving cannot disagree."""

from rlfocal.features.hashing import Encoder, HashingEncoder
from rlfocal.features.reach import Reach
from rlfocal.features.registry import encoder, encoder_names

__all__ = ["Encoder", "HashingEncoder", "Reach", "encoder", "encoder_names"]
