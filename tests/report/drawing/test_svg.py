from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from rlfocal.report.drawing import svg

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(TEXTS, TEXTS)
def test_any_name_makes_well_formed_xml_that_shows_it(name: str, label: str) -> None:
    drawing = svg.group(
        [svg.text(name, 0, 0), svg.tag("path", d="M0 0", aria_label=label)], class_="x", title=name
    )
    root = ElementTree.fromstring(drawing)
    (text,) = root.findall("text")
    shown = text.text or ""
    assert len(shown) == len(name.replace("\r\n", "\n"))
    assert all(
        a in (b, "\ufffd", "\n") for a, b in zip(shown, name.replace("\r\n", "\n"), strict=True)
    )


def test_markup_in_names_is_text() -> None:
    assert svg.text("<b>&\"'", 1, 2) == ('<text x="1" y="2">&lt;b&gt;&amp;&#34;&#39;</text>')
    assert svg.tag("g", title='"><script>') == '<g title="&#34;&gt;&lt;script&gt;"/>'


def test_numbers_are_short() -> None:
    assert svg.tag("circle", cx=10.0, cy=-0.04, r=2.55) == '<circle cx="10" cy="0" r="2.5"/>'
    assert svg.line_path([(0, -0.5), (100.06, 3)]) == "M0 -0.5L100.1 3"


def test_wide_letters_are_wider() -> None:
    assert svg.text_width("WWW", 10) > svg.text_width("iii", 10) > 0
    assert svg.text_width("中", 10) >= 10
    assert svg.text_width("ab", 20) == 2 * svg.text_width("ab", 10)
