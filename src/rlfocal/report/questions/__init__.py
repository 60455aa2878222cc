"""Every tested question in the page: what was asked, who said what, what strategies answered."""

from rlfocal.report.questions.section import Questions, questions_of

__all__ = ["Questions", "questions_of"]
