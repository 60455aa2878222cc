"""rlfocal in Python: what the verbs of the command line do, as functions and objects.

`inspect` and `independence` describe recorded answers, `benchmark` compares strategies on them,
`train` makes one into a checkpoint, `load` reads one, `evaluate` measures it, `explain` shows one
of its answers, and an `Ensemble` asks live members as it has learned to. Nothing is decided here
that the rooms below do not decide; every name is reached as `rlfocal.NAME`.
"""

from rlfocal.api.ensemble import Ensemble, Pool
from rlfocal.api.frames import from_dataframe
from rlfocal.api.looking import evaluate, explain, independence, inspect
from rlfocal.api.pictures import Picture, picture
from rlfocal.api.verbs import benchmark, load, read_table, train

__all__ = [
    "Ensemble",
    "Picture",
    "Pool",
    "benchmark",
    "evaluate",
    "explain",
    "from_dataframe",
    "independence",
    "inspect",
    "load",
    "picture",
    "read_table",
    "train",
]
