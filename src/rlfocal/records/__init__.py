"""What was asked and what came back: data sets, answer extraction, importers."""

from rlfocal.records.dataset import Dataset
from rlfocal.records.schema import DatasetInfo

__all__ = ["Dataset", "DatasetInfo"]
