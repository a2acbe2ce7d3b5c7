import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents.wrapped import join_wrapped, without_empty_bullets

PROSE = (
    "The harbour of the old town was built by the monks, who came over the sea with stone and lime "
    "and it has been in the hands of the fishermen as long as anyone can tell. In the winter the "
    "boats lie on the shore, and the men mend the nets that they will need when the herring come."
)
POEM = """\
Shall I go down once more to see the ships come in at night,
And hear the bells upon the hill, and watch the harbour light?
The boats are home, the nets are dry, the men have gone to bed,
And all the gulls are silent now, and all the songs are said."""
LISTING = """\
Global player wins the only bank of the north, an article of 20 May
Washington offers a chance for redemption, an article of 24 Feb 2004
Why the talks of the north are held now, an article of 10 Feb 2004
The sanctions of the south, and what they are for: an article of 2004"""
CODE = """\
the_first_value = read_the_number_from(the_file_of_the_first_user, 1);
the_second_value = read_the_number_from(the_file_of_the_other_user, 2);
the_third_value = read_the_number_from(the_file_of_the_third_user, 3);
the_last_value = read_the_number_from(the_file_of_the_last_user, 4);"""
COLUMNS = """\
Jones, Jim of the north     by the harbour of the    the first of the
Sousa, Sam of the south     by the market of the     the second of the
Dilbert, J of the west      by the church of the     the third of the
Smart, Alec of the east     by the bridge of the     the last of the"""
ADDRESS = "Ann Lee\nThe Old Harbour House\n12 Sea Road by the church of the\nSaint Ives\nCornwall"
DIALOGUE = """\
"I cannot believe that he did that to the old man of the sea," said one.
"And then he blamed it on poor Ann and on the others," said yet another.
"Now she is locked up in her room and cries for the whole of the day."
"Poor girl," said girls two and three at the same time, and left the room."""


@pytest.mark.parametrize("width", [55, 66, 72, 80])
def test_a_hard_wrapped_paragraph_becomes_one_line(width: int) -> None:
    wrapped = "\n".join(textwrap.wrap(PROSE, width))
    assert join_wrapped(f"Title\n\n{wrapped}\n\nEnd") == f"Title\n\n{PROSE}\n\nEnd"


def test_a_text_that_is_indented_as_a_whole_is_joined_too() -> None:
    wrapped = textwrap.indent("\n".join(textwrap.wrap(PROSE, 66)), "   ")
    text = f"1. The Harbour\n\n{wrapped}\n\n{wrapped}\n\n2. The Town"
    assert join_wrapped(text) == f"1. The Harbour\n\n   {PROSE}\n\n   {PROSE}\n\n2. The Town"


def test_indented_prose_within_code_stays() -> None:
    wrapped = textwrap.indent("\n".join(textwrap.wrap(PROSE, 66)), "    ")
    text = f'def harbour(town):\n    """Harbour.\n\n{wrapped}\n\n    """\n    return town.harbour()'
    assert join_wrapped(text) == text
    wrapped = textwrap.dedent(wrapped)
    assert join_wrapped(f"/*\n{wrapped}\n*/\n") == f"/*\n{wrapped}\n*/\n"
    assert join_wrapped(f"/* The town */\n\n{wrapped}\n\n") == f"/* The town */\n\n{PROSE}\n\n"


def test_an_indented_quote_in_a_text_that_is_not_indented_stays() -> None:
    wrapped = textwrap.indent("\n".join(textwrap.wrap(PROSE, 66)), "    ")
    listing = f"The harbour of the town\n\n{wrapped}\n\nThe end\nof it\nall is\nnear\nby\nnow"
    assert join_wrapped(listing) == listing


def test_paragraphs_without_an_empty_line_between_stay_apart() -> None:
    wrapped = "\n".join(textwrap.wrap(PROSE, 66))
    joined = join_wrapped(f"{wrapped}\n{wrapped}")
    assert f"herring come.\n{PROSE[:60]}" in joined
    assert joined.count("\n") < 4


@pytest.mark.parametrize(
    "text",
    [
        *(POEM, LISTING, CODE, COLUMNS, ADDRESS, DIALOGUE),
        textwrap.indent("\n".join(textwrap.wrap(PROSE, 70)), " " * 20),
        textwrap.indent("\n".join(textwrap.wrap(PROSE, 70)), "> "),
        textwrap.indent("\n".join(textwrap.wrap(PROSE, 70)), "- "),
        textwrap.indent("\n".join(textwrap.wrap(PROSE, 70)), "| "),
        "\n".join(textwrap.wrap(PROSE, 40)),  # a narrow column may be verse
        "\n".join(textwrap.wrap(PROSE, 120)),
        "\n".join(textwrap.wrap(PROSE[:170], 70)),  # three lines are too few
        f"{PROSE}\n{PROSE}",
    ],
)
def test_what_is_not_surely_wrapped_prose_stays(text: str) -> None:
    assert join_wrapped(text) == text


words = st.sampled_from("the of and harbour boats, nets. In Winter men 12 x= -".split())
lines = st.lists(words, max_size=14).map(" ".join)
texts = st.one_of(
    st.lists(lines, max_size=12).map("\n".join),
    st.tuples(st.lists(words, max_size=90).map(" ".join), st.integers(45, 95)).map(
        lambda found: "\n".join(textwrap.wrap(*found))
    ),
    st.lists(words, max_size=90).map(
        lambda found: textwrap.indent("\n".join(textwrap.wrap(" ".join(found), 70)), "   ")
    ),
)


@given(texts)
def test_only_white_space_changes_and_doing_it_again_changes_nothing(text: str) -> None:
    joined = join_wrapped(text)
    assert joined.split() == text.split()
    assert join_wrapped(joined) == joined


def test_empty_bullets_go_and_others_stay() -> None:
    text = "- one\n-\n- two\n  -\n•\nthree\n---\n+\n- four\n-"
    assert without_empty_bullets(text) == "- one\n- two\nthree\n---\n+\n- four"


@pytest.mark.parametrize(
    "text", ["a - b\n-5", "3\n-\nLaibach", "Laibach\n-\n4", "-old\n-\n+new", "a"]
)
def test_values_and_patches_keep_their_dashes(text: str) -> None:
    assert without_empty_bullets(text) == text


def test_settings_of_one_word_a_line_are_no_prose() -> None:
    names = ("lamp_at_the_gate", "lamp_at_the_pier", "lamp_at_the_dock", "lamp_at_the_mole")
    text = "\n".join(f"harbour={name}=default-on" for name in (*names, *names))
    assert join_wrapped(text) == text
