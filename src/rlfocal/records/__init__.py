"""What was asked and what came back: data sets, answer extraction, importers, the dense table."""

from rlfocal.records.dataset import Dataset
from rlfocal.records.schema import DatasetInfo
from rlfocal.records.synthetic import PoolModel, demo_dataset, simulate
from rlfocal.records.tables.build import Encode, build_table
from rlfocal.records.tables.calibration import Calibration, calibrate
from rlfocal.records.tables.table import (
    BoolArray,
    CandidateKind,
    FloatArray,
    IntArray,
    ResponseTable,
)

__all__ = [
    "BoolArray",
    "Calibration",
    "CandidateKind",
    "Dataset",
    "DatasetInfo",
    "Encode",
    "FloatArray",
    "IntArray",
    "PoolModel",
    "ResponseTable",
    "build_table",
    "calibrate",
    "demo_dataset",
    "simulate",
]
