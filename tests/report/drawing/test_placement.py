from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.report.drawing.placement import Box, Label, place

AREA = Box(0, 0, 400, 300)
POINTS = st.tuples(st.floats(0, 400), st.floats(0, 300))
LABELS = st.lists(
    st.builds(
        Label,
        st.lists(POINTS, min_size=1, max_size=3).map(tuple),
        st.floats(10, 150),
        st.just(16.0),
    ),
    max_size=12,
)


@given(LABELS, st.lists(POINTS, max_size=4))
@settings(max_examples=40)
def test_names_never_overlap_nor_leave_the_area(
    labels: list[Label], line: list[tuple[float, float]]
) -> None:
    taken = Box(150, 100, 250, 200)
    lines = [(line, 1.0)] if line else []
    spots = place(labels, area=AREA, lines=lines, taken=[taken])
    assert len(spots) == len(labels)
    boxes = [spot.box for spot in spots if spot is not None]
    for i, box in enumerate(boxes):
        assert box.within(AREA)
        assert not any(box.overlaps(other) for other in [taken, *boxes[:i]])


def test_a_lone_name_stands_to_the_right_on_the_height_of_its_anchor() -> None:
    (spot,) = place([Label(((100, 100),), 50, 16)], area=AREA)
    assert spot is not None
    assert spot.anchor == "start"
    assert spot.leader is None
    assert spot.box == (109, 92, 159, 108)
    assert spot.x == 109


def test_at_the_right_edge_it_stands_to_the_left() -> None:
    (spot,) = place([Label(((398, 100),), 50, 16)], area=AREA)
    assert spot is not None
    assert spot.anchor == "end"
    assert spot.x == spot.box.right < 398


def test_a_name_rather_stands_clear_of_a_line_than_on_it() -> None:
    line = [(100.0, 100.0), (300.0, 100.0)]
    (spot,) = place([Label(((100, 100),), 50, 16)], area=AREA, lines=[(line, 1.0)])
    assert spot is not None
    assert not spot.box.overlaps(Box(100, 99.9, 300, 100.1))


def test_a_name_that_has_no_room_is_left_out() -> None:
    labels = [Label(((5, 5),), 90, 16), Label(((5, 5),), 90, 16)]
    spots = place(labels, area=Box(0, 0, 110, 20))
    assert spots[0] is not None
    assert spots[1] is None


def test_far_from_what_it_names_a_line_leads_there() -> None:
    crowd = [Label(((200, 150),), 80, 16) for _ in range(8)]
    spots = place(crowd, area=AREA)
    leaders = [spot.leader for spot in spots if spot is not None and spot.leader is not None]
    assert leaders
    assert all(start == (200, 150) for start, _ in leaders)
