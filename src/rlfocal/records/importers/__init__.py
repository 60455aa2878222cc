"""Other tools' logs of recorded answers, brought into the two tables of a data set.

`registry` finds a tool's reader, which makes one `Record` of each reply; `assembling` makes a data
set of them, in the same way for every tool.
"""

from __future__ import annotations

from rlfocal.records.importers.assembling import assemble, document_digest, import_logs
from rlfocal.records.importers.logged import Logged, Record
from rlfocal.records.importers.registry import (
    Importer,
    ImporterOption,
    find_importer,
    importer,
    importer_names,
)

__all__ = [
    "Importer",
    "ImporterOption",
    "Logged",
    "Record",
    "assemble",
    "document_digest",
    "find_importer",
    "import_logs",
    "importer",
    "importer_names",
]
