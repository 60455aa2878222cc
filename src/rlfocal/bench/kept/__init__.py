"""Results of jobs that outlive a broken run: one file each, found again by what the job was."""

from rlfocal.bench.kept.store import Kept

__all__ = ["Kept"]
