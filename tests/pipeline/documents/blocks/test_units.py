"""The repeated structure of a page: which blocks are parts of which unit, and play one role."""

from pipeline.documents.blocks.layout import Layout
from pipeline.documents.blocks.segment import segment
from pipeline.documents.blocks.units import find_groups, find_units
from pipeline.documents.blocks.words import count
from pipeline.documents.tree import parse

PROSE = "The bridge across the river was opened on a Sunday, with flags and drums, in May. "
POSTS = "".join(
    f'<div class="post"><p class="name">user {number}</p><div class="body"><p>{PROSE * number}</p>'
    f"<p>{PROSE}</p></div></div>"
    for number in range(1, 6)
)


def units_of(body):
    page = segment(parse(f"<html><body>{body}</body></html>"))
    counts = count(page, "")
    layout = Layout(page)
    groups = find_groups(layout.parent, layout.kind, layout.total(counts.words))
    return page, find_units(groups, layout)


def test_the_units_of_a_thread_are_its_posts_and_not_their_paragraphs():
    _, units = units_of(f"<h1>Bridges</h1><div class=thread>{POSTS}</div><p>Terms of use</p>")
    assert [units.unit[0], units.unit[-1]] == [0, 0]
    assert len(set(units.unit[1:-1].tolist())) == 5
    assert len(set(units.group[1:-1].tolist())) == 1


def test_the_parts_of_posts_play_the_same_roles():
    _, units = units_of(POSTS)
    roles = units.role.reshape(5, 3)
    assert (roles == roles[0]).all()
    assert roles[0, 0] != roles[0, 1] == roles[0, 2]


def test_two_of_a_kind_are_no_group():
    _, units = units_of(f"<div class=a>{PROSE}</div><div class=a>{PROSE}</div>")
    assert units.unit.tolist() == [0, 0]
