"""The deployed policy stops where stopping is likelier than not, however many members are alike."""

from __future__ import annotations

import numpy as np

from rlfocal.agents.policy import likeliest


def test_members_who_are_alike_do_not_make_it_stop():
    chance = np.array(
        [[0.15, 0.15, 0.15, 0.15, 0.40], [0.10, 0.20, 0.05, 0.05, 0.60], [0.2, 0.4, 0.2, 0.2, 0.0]]
    )
    assert likeliest(np.log(np.maximum(chance, 1e-9))).tolist() == [0, 4, 1]
