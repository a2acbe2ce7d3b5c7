import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.pages.owners.robots import ROBOTS_BYTES_MAX, RobotsTxt

PAGE = "https://example.com/news/1?page=2"


def robots(*lines):
    return RobotsTxt("\n".join(lines).encode())


@pytest.mark.parametrize(
    ("lines", "allowed"),
    [
        ([], True),
        (["<html>no robots.txt</html>"], True),
        (["User-agent: *", "Disallow: /"], False),
        (["User-agent: *", "Disallow:"], True),
        (["User-agent: *", "Disallow: /news/", "Allow: /news/1"], True),
        (["User-agent: *", "Disallow: /*page="], False),
        (["User-agent: *", "Disallow: /", "", "User-agent: webtext", "Allow: /"], True),
        (["User-agent: WebText", "Disallow: /"], False),
        (["User-agent: webtext/2.0", "Disallow: /"], False),
        (["User-agent: otherbot", "Disallow: /"], True),
        (["\ufeffUser-agent: *", "Disallow: /"], False),
        (["Disallow: /"], True),
        (["User-agent: *", "Content-Signal: ai-train=no", "Disallow: /"], False),
    ],
)
def test_who_may_fetch_is_what_rfc_9309_says(lines, allowed):
    assert robots(*lines).allows(PAGE, "webtext") is allowed


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (["User-agent: GPTBot", "Disallow: /"], ["GPTBot"]),
        (["user-agent: gptbot/1.1", "disallow: /news"], ["GPTBot"]),
        (["User-agent: CCBot", "User-agent: GPTBot", "Disallow: /"], ["GPTBot", "CCBot"]),
        (["User-agent: GPTBot", "Disallow: /private"], []),
        (["User-agent: *", "Disallow: /"], []),  # a rule for everyone is no rule for them
        (["User-agent: ChatGPT-User", "Disallow: /"], []),  # fetches what a person asked for
        (["User-agent: Googlebot", "Disallow: /"], []),
        (["User-agent: Google-Extended", "Disallow: /"], ["Google-Extended"]),
    ],
)
def test_agents_that_train_are_disallowed_by_name(lines, names):
    assert robots(*lines).disallowed(PAGE) == names


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        (["User-agent: *", "Content-Signal: search=yes, ai-train=no"], ["search=yes, ai-train=no"]),
        (["User-Agent: *", "CONTENT-SIGNAL : ai-train=no # why"], ["ai-train=no"]),
        (["Content-Signal: ai-train=no"], ["ai-train=no"]),
        (["User-agent: other", "Content-Signal: ai-train=no"], []),
        (
            [
                *("User-agent: *", "Content-Signal: ai-train=no"),
                *("User-agent: webtext", "Content-Signal: ai-train=yes"),
            ],
            ["ai-train=yes"],
        ),
        (
            [
                *("User-agent: a", "User-agent: webtext", "Sitemap: x", "User-agent: b"),
                "Content-Signal: ai-train=no",
            ],
            ["ai-train=no"],
        ),
        (["User-agent: webtext", "Disallow: /x", "User-agent: b", "Content-Signal: a=no"], []),
        (["User-agent:", "Content-Signal: ai-train=no"], []),
    ],
)
def test_content_signals_hold_for_the_crawlers_of_their_group(lines, values):
    assert robots(*lines).content_signals(PAGE, "webtext") == values


@pytest.mark.parametrize(
    ("url", "agent", "values"),
    [  # the example of draft-ietf-aipref-attach-05, 3.4
        ("https://e.com/test", "webtext", ["train-ai=n"]),
        ("https://e.com/ai-ok/test", "webtext", ["train-ai=y"]),
        ("https://e.com/ai-ok/test", "ExampleBot", ["train-ai=y"]),
        ("https://e.com/test", "examplebot", ["train-ai=y"]),
    ],
)
def test_the_longest_path_of_a_content_usage_line_wins(url, agent, values):
    found = robots(
        *("User-Agent: *", "Allow: /", "Disallow: /never/", "Content-Usage: train-ai=n"),
        *("Content-Usage: /ai-ok/ train-ai=y", "", "User-Agent: ExampleBot", "Allow: /"),
        "Content-Usage: train-ai=y",
    )
    assert found.content_usages(url, agent) == values


def test_content_usages_of_one_path_hold_each_for_itself_and_one_may_be_empty():
    found = robots("User-agent: *", "Content-Usage: /a train-ai=y", "Content-Usage: /a\ttrain-ai=n")
    assert found.content_usages("https://e.com/ab", "webtext") == ["train-ai=y", "train-ai=n"]
    assert robots("User-agent: *", "Content-Usage: /a").content_usages("http://e/a", "x") == [""]


def test_a_crawl_delay_is_told_in_seconds():
    found = robots("User-agent: *", "Crawl-delay: 2.5", "User-agent: bot", "Crawl-delay: soon")
    assert found.crawl_delay_s("webtext") == 2.5
    assert found.crawl_delay_s("bot") is None


def test_no_more_is_read_than_crawlers_must():
    lines = b"User-agent: *\n" + b"# more\n" * ROBOTS_BYTES_MAX + b"Disallow: /\n"
    assert RobotsTxt(lines).allows(PAGE, "webtext")


@given(st.text("uU-:\n\r*#/ \0é", max_size=80).map(lambda text: "User-agent: *\n" + text))
def test_no_content_makes_the_parser_raise(text):
    found = RobotsTxt(text.encode())
    found.allows(PAGE, "webtext"), found.content_signals(PAGE, "webtext"), found.named()
