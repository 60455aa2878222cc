"""The deployed policy stops where stopping is likelier than not, however many members are alike."""

from __future__ import annotations

import torch

from rlfocal.agents.policy import likeliest


def test_members_who_are_alike_do_not_make_it_stop():
    chance = torch.tensor(
        [[0.15, 0.15, 0.15, 0.15, 0.40], [0.10, 0.20, 0.05, 0.05, 0.60], [0.2, 0.4, 0.2, 0.2, 0.0]]
    )
    assert likeliest(chance.log()).tolist() == [0, 4, 1]
