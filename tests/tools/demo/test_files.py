from collections import Counter, defaultdict
from itertools import combinations

import msgspec
import pytest

from pipeline.lines import Lines
from pipeline.links.canonical import canonical
from pipeline.links.select import Post, ReadRules, Selector
from pipeline.reasons import Reason
from pipeline.settings_file import load
from tools.demo import UNREACHABLE, digest, write_demo
from tools.demo.plants import plant_all
from tools.demo.stories import LANGUAGES, article
from tools.demo.web import SITES, Web, seeded_sites

# What the seeded part is, on every machine. It changes when the demo's texts, pages or posts do.
SEEDED_DIGEST = "d9b217261dc98e5a77118e644b99ecd3"
# Records that no link leads to have these, and what is damaged or no page besides.
OF_RECORDS = {"other_capture", "not_linked"}


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp("demo"), installed_texts=False)


@pytest.fixture(scope="module")
def truth(seeded):
    return msgspec.json.decode(seeded.expected_path.read_bytes())


def test_the_seeded_part_is_the_same_everywhere(seeded):
    assert digest(seeded) == SEEDED_DIGEST


def test_the_settings_beside_it_are_valid(seeded):
    settings = load(seeded.settings_path)
    assert settings.links.blocked_subreddits == ("blocked_board",)
    assert settings.links.karma_min == 3


def test_every_line_becomes_what_the_truth_says(seeded, truth):
    rules = ReadRules.of(load(seeded.settings_path).links)
    found: Counter[str] = Counter()
    links = defaultdict(list)
    for path in seeded.dumps:
        selector = Selector(rules)
        with Lines(path) as lines:
            for line in lines:
                verdict = selector.judge(line)
                if isinstance(verdict, Post):
                    links[verdict.target.key].append(verdict.karma)
                else:
                    found[verdict.reason.value] += 1
    for scores in links.values():
        if max(scores) < 3:
            found["karma_low"] += len(scores)
        else:
            found["kept"] += 1
            found["merged"] += len(scores) - 1
    assert dict(found) == truth["submissions"]


def test_no_two_links_share_a_key(truth):
    keys = [canonical(url).key for url in truth["links"]]
    assert len(set(keys)) == len(keys)


def test_each_reason_is_planted_or_it_is_said_why_not(truth):
    planted = {reason for end in truth["links"].values() for reason in end.split("|")}
    planted |= set(truth["submissions"]) | OF_RECORDS
    missing = set(Reason) - {Reason(name) for name in planted - {"kept", "merged"}}
    assert missing == set(UNREACHABLE)


def test_there_are_dozens_of_hosts_and_enough_text():
    web = Web()
    seeded_sites(web)
    plant_all(web)
    assert len({capture.url.split("/")[2] for capture in web.captures[1:]}) > 55
    assert len(SITES) > 30
    texts = [article(s.genre, f"{s.origin}/{n}").text for s in SITES for n in range(s.pages)]
    assert sum(map(len, texts)) > 2_000_000


def test_texts_that_are_no_copies_are_not_near():
    shingles = []
    having = defaultdict(list)
    for site in SITES:
        for number in range(site.pages if site.genre not in LANGUAGES else 0):
            words = article(site.genre, f"{site.origin}/{number}").text.lower().split()
            shingles.append({hash(tuple(words[at : at + 5])) for at in range(len(words) - 4)})
            for shingle in shingles[-1]:
                having[shingle].append(len(shingles) - 1)
    shared: Counter[tuple[int, int]] = Counter()
    for places in having.values():
        if len(places) < 40:
            shared.update(combinations(places, 2))
    # A pair with a Jaccard of 0.5 shares most of its rare shingles too.
    for (left, right), count in shared.items():
        smaller = min(len(shingles[left]), len(shingles[right]))
        if count > smaller // 4:
            both = len(shingles[left] & shingles[right])
            either = len(shingles[left] | shingles[right])
            assert both / either < 0.4, (left, right)
