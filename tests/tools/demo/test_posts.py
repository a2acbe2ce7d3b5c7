import random

from hypothesis import given
from hypothesis import strategies as st

from pipeline.links.canonical import canonical
from pipeline.links.select import ReadRules, UrlRules
from pipeline.settings import LinksSettings
from tools.demo.posts import KARMA_MIN, plan, variant
from tools.demo.web import Target, Web, add_sites

RULES = UrlRules(ReadRules.of(LinksSettings()))
WEB = Web()
add_sites(WEB)


@given(target=st.sampled_from(WEB.targets), seed=st.integers(0, 10_000))
def test_every_variant_of_a_url_has_its_key(target, seed):
    posted = variant(target.url, random.Random(seed))
    assert RULES.target(posted).key == canonical(target.url).key, posted


def test_the_best_post_of_a_link_has_the_karma_that_was_planned():
    targets = [Target("https://a.example/", "kept", 900), Target("https://b.example/", "kept", 1)]
    posts = plan(targets)
    for index, target in enumerate(targets):
        assert max(post.score for post in posts if post.target == index) == target.karma


def test_scores_have_a_heavy_tail():
    scores = sorted(post.score for post in plan(WEB.targets))
    assert scores[len(scores) // 2] < KARMA_MIN
    assert scores[-1] > 5_000


def test_posts_are_those_of_their_targets_alone_in_number_and_order():
    assert plan(WEB.targets) == plan(WEB.targets)
    assert len(plan(WEB.targets)) > len(plan(WEB.targets[:5]))
