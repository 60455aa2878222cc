"""rlfocal: make several LLMs answer better than any one of them, at a known cost."""

__version__ = "0.1.0"
