"""The blank with which some models begin a reply, and others do not."""

from __future__ import annotations

from rlfocal.pool.blends.voices import Proposal

__all__ = ["BLANK", "after_blank", "begins_blank"]

BLANK = b" "


def begins_blank(proposal: Proposal) -> bool:
    """Whether a model that has said nothing yet would rather begin with a blank than without.

    >>> begins_blank(Proposal({b" 1": 0.5, b"1": 0.3}, {}, rest=0.2, least=0.1))
    True
    """
    blank = sum(p for piece, p in proposal.pieces.items() if piece.startswith(BLANK))
    return blank > sum(proposal.pieces.values()) - blank


def after_blank(proposal: Proposal) -> tuple[int | None, Proposal]:
    """What comes after the blank.

    Returns:
        The token of the blank, where the model has it rather by itself: it has to be asked what
        comes then. Else None, and the proposal without the blanks that its pieces begin with; their
        tokens stay what they are, and a blank alone is not named any more.
    """
    alone = proposal.pieces.get(BLANK, 0.0)
    within = {p: v for p, v in proposal.pieces.items() if p.startswith(BLANK) and p != BLANK}
    if alone > sum(within.values()):
        return proposal.ids[BLANK], proposal
    pieces = {piece.removeprefix(BLANK): p for piece, p in within.items()}
    ids = {piece.removeprefix(BLANK): proposal.ids[piece] for piece in within}
    for piece, p in proposal.pieces.items():
        if not piece.startswith(BLANK):
            pieces[piece] = pieces.get(piece, 0.0) + p
            if piece in proposal.ids:
                ids.setdefault(piece, proposal.ids[piece])
    likeliest = dict(sorted(pieces.items(), key=lambda named: -named[1]))
    return None, proposal._replace(
        pieces=likeliest, ids=ids, rest=proposal.rest + alone, least=max(proposal.least, alone)
    )
