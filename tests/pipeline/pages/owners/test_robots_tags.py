import pytest

from pipeline.pages.owners.robots_tags import header_directives, meta_directives

AGENTS = ("webtext", "GPTBot")


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["noai"], {"noai"}),
        (["NoAI, NoImageAI"], {"noai", "noimageai"}),
        (["noindex", "noai"], {"noindex", "noai"}),
        (["noai noimageai"], {"noai", "noimageai"}),
        (["noai;noindex"], {"noai", "noindex"}),
        (["*: noai"], {"noai"}),
        (["webtext: noai"], {"noai"}),
        (["gptbot: noai, noindex"], {"noai", "noindex"}),
        (["googlebot: noai, noindex"], set()),
        (["googlebot: noai", "noindex"], {"noindex"}),  # a scope ends with its line
        (["googlebot: noai, webtext: noindex"], {"noindex"}),
        (["noindex, googlebot: noai"], {"noindex"}),
        (["max-snippet: 20, noai"], {"max-snippet:", "20", "noai"}),
        (["unavailable_after: 25 Jun 2010 15:00:00 PST, noai"], None),
        (["googlebot: max-snippet: 20, noai"], set()),
        ([""], set()),
        ([], set()),
    ],
)
def test_a_robots_tag_holds_for_all_or_for_those_it_names(lines, found):
    directives = header_directives(lines, AGENTS)
    assert directives == found if found is not None else "noai" in directives


@pytest.mark.parametrize(
    ("metas", "found"),
    [
        ([("robots", "noai")], {"noai"}),
        ([("ROBOTS ", "NOINDEX,NOAI")], {"noindex", "noai"}),
        ([("GPTBot", "noai")], {"noai"}),
        ([("webtext", "noimageai")], {"noimageai"}),
        ([("googlebot", "noai")], set()),
        ([("robots", "index"), ("robots", "noai")], {"index", "noai"}),
        ([("description", "noai")], set()),
    ],
)
def test_a_meta_element_is_named_robots_or_after_a_crawler(metas, found):
    assert meta_directives(metas, AGENTS) == found
