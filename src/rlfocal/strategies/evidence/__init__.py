"""How likely a reply is right, learned from what replies say beyond their answers.

Fitting needs scipy; what was fitted acts with numpy alone.
"""

from rlfocal.strategies.evidence.score import Apart, OutOfFold, ReplyScore

__all__ = ["Apart", "OutOfFold", "ReplyScore"]
