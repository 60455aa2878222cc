"""A benchmark as one self-contained HTML page, and the figures on it."""

from rlfocal.report.frontier import cost_picture
from rlfocal.report.page import render, write_report

__all__ = ["cost_picture", "render", "write_report"]
