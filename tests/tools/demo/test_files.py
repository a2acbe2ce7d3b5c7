import os
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import msgspec
import pytest

from pipeline.lines import Lines
from pipeline.links.canonical import canonical
from pipeline.links.select import Post, ReadRules, Selector
from pipeline.reasons import Reason
from pipeline.settings_file import load
from tools.build import find_inputs
from tools.demo import UNREACHABLE, digest, write_demo
from tools.demo.plants import plant_all
from tools.demo.stories import LANGUAGES, article
from tools.demo.web import SITES, Web, add_sites
from tools.report.facts import domain_label, openai_domains

# What the input is, on every machine and every Python. It changes when the demo's texts, pages or
# posts do; renew.py writes the new ones.
INPUT_DIGESTS = {
    "whole": "211bd4a6d423c5ba38d1ecba45f1e652",
    "fast": "c3685361cc8a00efbb92dad3eeaa9d31",
}
ROOT = Path(__file__).resolve().parents[3]
# Records that no link leads to have these, and what is damaged or no page besides.
OF_RECORDS = {"other_capture", "not_linked"}


@pytest.fixture(scope="module", params=["whole", "fast"])
def written(request, tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp(request.param), fast=request.param == "fast")


@pytest.fixture(scope="module")
def truth(written):
    return msgspec.json.decode(written.expected_path.read_bytes())


def test_the_input_is_the_same_everywhere(written, request):
    assert digest(written) == INPUT_DIGESTS[request.node.callspec.params["written"]]


def test_it_does_not_hang_on_the_hash_seed_the_locale_or_the_folder(tmp_path):
    code = (
        "import sys; from pathlib import Path; from tools.demo import digest, write_demo;"
        "print(digest(write_demo(Path(sys.argv[1]), fast=True)))"
    )
    for name, seed in (("one", "1"), ("another", "2")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": "C", "PYTHONUTF8": "0"}
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / name)],
            env={**environment, "TZ": "Asia/Tokyo"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == INPUT_DIGESTS["fast"]


def test_an_input_written_over_a_larger_one_is_the_smaller(tmp_path):
    write_demo(tmp_path)
    (tmp_path / "installed.warc.gz").touch()  # an earlier version of the demo left this
    files = write_demo(tmp_path, fast=True)
    settings = load(files.settings_path)
    named = find_inputs([*settings.input.dumps, *settings.input.warcs], tmp_path, "input")
    assert set(named) == {path.resolve() for path in (*files.dumps, *files.warcs)}
    assert digest(files) == INPUT_DIGESTS["fast"]


def test_the_settings_beside_it_are_valid(written):
    settings = load(written.settings_path)
    assert settings.links.blocked_subreddits == ("blocked_board",)
    assert settings.links.karma_min == 3


def test_every_line_becomes_what_the_truth_says(written, truth):
    rules = ReadRules.of(load(written.settings_path).links)
    found: Counter[str] = Counter()
    links = defaultdict(list)
    for path in written.dumps:
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


@pytest.mark.parametrize("written", ["whole"], indirect=True)
def test_the_readme_says_how_large_it_is(written, truth):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    hosts = {url.split("/")[2] for url in truth["links"]}
    submissions = sum(truth["submissions"].values())
    figures = f"({len(hosts)} hosts, {truth['records']:,} captures, {submissions:,} submissions,"
    assert figures in text


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
    add_sites(web)
    plant_all(web)
    assert len({capture.url.split("/")[2] for capture in web.captures[1:]}) > 55
    assert len(SITES) > 30
    texts = [article(s.genre, f"{s.origin}/{n}").text for s in SITES for n in range(s.pages)]
    assert sum(map(len, texts)) > 3_000_000


def test_its_texts_are_of_many_kinds_and_shared_out_unequally():
    web = Web()
    add_sites(web)
    labels = Counter(domain_label(capture.url.split("/")[2]) for capture in web.captures)
    assert len(labels) > 30
    most, *_, least = [count for _, count in labels.most_common()]
    assert most > 30 * least
    assert {"telegraph", "nature", "weather"} <= set(labels) & set(openai_domains())
    assert (
        sum(labels[label] for label in openai_domains() if label in labels) < len(web.captures) / 4
    )
    kinds = Counter(kind for site in SITES for kind, _ in article(site.genre, site.origin).blocks)
    assert set(kinds) == {"p", "h2", "li", "pre", "post", "table"}


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
