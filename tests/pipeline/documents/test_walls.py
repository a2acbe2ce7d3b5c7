import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.documents.walls import _KEYWORDS, _SAYINGS, CHARS_MAX, _folded, find_wall
from pipeline.reasons import Reason

MENU = "Home | Products | About us | News | Contact | Jobs | Press | Help"
PROSE = (
    "The council has decided that the wooden bridge will be closed in the spring, and that it is "
    "to be repaired by the people of the village. They asked for help from the county as well, "
    "which has not yet said what it will give. The mayor told us that she would walk across it "
    "every day if she had to, since it is the only way to the school and to the shops."
)
WALLS = [
    (
        Reason.WALL_NOT_FOUND,
        "Page not found",
        "Sorry, the page you want does not exist.",
    ),
    (Reason.WALL_NOT_FOUND, "", f"{MENU}\nThe requested article was not found."),
    (Reason.WALL_NOT_FOUND, "Forum", "The topic or post you requested does not exist"),
    (Reason.WALL_NOT_FOUND, "Shop", "Sorry, this product is no longer available.\nGo back"),
    (Reason.WALL_NOT_FOUND, "Error 404", "Use the menu or the search box to find what you want."),
    (Reason.WALL_NOT_FOUND, "", "We can't find the page that you asked for."),
    (Reason.WALL_NOT_FOUND, "", "We’re sorry, we couldn’t find that page. Check the address."),
    (Reason.WALL_NOT_FOUND, "", "This video is unavailable."),
    (Reason.WALL_NOT_FOUND, "", "BU VİDEO UNAVAİLABLE."),
    (Reason.WALL_MOVED, "", "This page has moved. You will be redirected in 15 seconds."),
    (Reason.WALL_MOVED, "Object moved", "Object moved to here."),
    (Reason.WALL_LOGIN, "Members Only", "You are not logged in. Please log in using your ID."),
    (Reason.WALL_LOGIN, "A title", "This content is for subscribers only.\nSubscribe to continue"),
    (Reason.WALL_LOGIN, "News", "To continue reading this article, log in or register."),
    (Reason.WALL_CONSENT, "", "Before you continue to Example\nAccept all cookies"),
    (Reason.WALL_SCRIPT, "app", "You need to enable JavaScript to run this app."),
    (Reason.WALL_SCRIPT, "app", "JavaScript is disabled in your browser."),
    (Reason.WALL_CHALLENGE, "One moment", "Checking your browser before you go on."),
    (Reason.WALL_CHALLENGE, "", "Access denied. Your IP address has been blocked."),
    (Reason.WALL_CHALLENGE, "", "Please verify that you are human."),
    (Reason.WALL_PARKED, "example.com", "This domain is for sale! Buy this domain."),
    (Reason.WALL_PARKED, "Welcome to nginx!", "If you see this page, the server works."),
    (Reason.WALL_ERROR, "", "500 Internal Server Error"),
    (Reason.WALL_ERROR, "Site", "Error establishing a database connection"),
    (Reason.WALL_ERROR, "", "The site is down for maintenance. Please check back soon."),
]
PAGES = [
    ("The bridge", PROSE),
    ("How to mend error 404", f"The server says: page not found.\n{PROSE}"),
    ("A thread", "Which bridge is the best one?\nYou must log in or register to reply here."),
    ("A thread", f"{PROSE[:180]}\nLog in | Forgot your password?"),
    ("Pasta", "Boil the water. Add salt.\nThis site uses cookies.\n" + PROSE),
    ("Menu", MENU),
    ("", ""),
]


@pytest.mark.parametrize(("reason", "title", "text"), WALLS)
def test_a_page_that_stands_for_another_is_told_with_its_evidence(reason, title, text):
    drop = find_wall(text, title)
    assert drop is not None
    assert drop.reason is reason
    assert drop.detail in f"{title}\n{text}".replace("’", "'")


@pytest.mark.parametrize(("title", "text"), PAGES)
def test_a_page_with_something_to_say_is_none(title, text):
    assert find_wall(text, title) is None


@pytest.mark.parametrize(("reason", "title", "text"), WALLS)
def test_menus_hide_no_wall_and_prose_beside_it_makes_it_a_page(reason, title, text):
    menu = "\n".join([MENU] * 5)
    assert find_wall(f"{menu}\n{text}\n{menu}", title).reason is reason
    assert find_wall(f"{text}\n{PROSE}", title) is None


@given(st.text(max_size=200))
def test_any_text_is_judged_and_a_long_one_is_never_a_wall(text):
    find_wall(text, text)
    assert find_wall(text + " not found 404 error" * (CHARS_MAX // 10), text) is None


@pytest.mark.parametrize("reason", _SAYINGS)
def test_every_saying_has_a_keyword_of_its_kind(reason):
    @settings(max_examples=300)
    @given(st.from_regex(_SAYINGS[reason]))
    def check(text):
        said = _SAYINGS[reason].search(text).group()
        assert any(word in _folded(said) for word in _KEYWORDS[reason]), said

    check()
