"""A benchmark as one self-contained HTML page, and the figures on it."""

from rlfocal.report.page import render, write_report

__all__ = ["render", "write_report"]
