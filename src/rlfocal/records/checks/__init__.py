"""The contradictions that a data set may contain, each found without a Python loop over rows."""

from rlfocal.records.checks.evidence import LOGPROB_SLACK
from rlfocal.records.checks.readers import check_readers, check_readings, missing_inputs
from rlfocal.records.checks.tables import check_queries, check_tables

__all__ = [
    "LOGPROB_SLACK",
    "check_queries",
    "check_readers",
    "check_readings",
    "check_tables",
    "missing_inputs",
]
