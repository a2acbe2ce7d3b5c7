import json
from collections import defaultdict
from itertools import islice

import pytest

from pipeline.engine.build import Build
from pipeline.engine.reading import read_published
from pipeline.engine.stage import Part, Stage, Step
from pipeline.engine.store import Disk
from pipeline.engine.task import run_part
from pipeline.lines import Lines
from pipeline.links.canonical import canonical, link_id
from pipeline.pages.owners.preferences import REASON_OF
from pipeline.reasons import Reason
from pipeline.records import CORPUS
from pipeline.settings import EngineSettings
from tools.cli import main
from tools.why import _corpus, _Made, why

STAGES = ["links", "pages", "documents", "corpus", "shards"]
# The stage in which a link with this expected end leaves.
OF_LINKS = {"karma_low", "wikipedia"}
OF_PAGES = {
    "not_captured", "redirect_lost", "redirect_loop", "status_error", "revisit_lost",
    "not_a_page", "unreadable", *REASON_OF.values(),
}  # fmt: skip
OF_CORPUS = {
    "wikipedia_domain", "wikipedia_mirror", "wikipedia_mark", "same_url", "exact_copy", "near_copy",
    "little_prose", "odd_words", "repetitive",
}  # fmt: skip
MAY_10_2012_S = 1_336_600_000
SELF_POST = "https://www.reddit.com/r/news/comments/abc/a_text/"


@pytest.fixture(scope="module")
def fates(finished):
    """The demo's URLs by what should become of them."""
    links = json.loads(finished.input.expected_path.read_text(encoding="utf-8"))["links"]
    found = defaultdict(list)
    for url, end in links.items():
        found[end].append(url)
    return found


def id_of(url):
    return link_id(canonical(url).key)


def test_each_kind_of_fate_is_told_up_to_the_stage_where_the_page_left(finished, fates):
    assert len(fates) > 25
    for end, urls in fates.items():
        chapters = why(finished.folder, urls[0])
        told = [chapter.stage for chapter in chapters]
        assert told == STAGES[: len(told)]
        assert all(chapter.kept for chapter in chapters[:-1])
        last = chapters[-1]
        assert last.kept == (end == "kept")
        if end == "kept":
            assert last.stage == "shards"
            continue
        reason = next(Reason(r) for r in end.split("|") if f"[{r}]" in last.text)
        assert reason.sentence in last.text
        stage = (
            "links" if reason in OF_LINKS
            else "pages" if reason in OF_PAGES
            else "corpus" if reason in OF_CORPUS
            else "documents"
        )  # fmt: skip
        assert last.stage == stage


def test_a_kept_page_is_told_down_to_its_tokens(finished, fates):
    url = fates["kept"][0]
    link, page, document, corpus, shard = why(finished.folder, url)
    assert link.row["id"] == id_of(url)
    assert page.row["warc"] == "web.warc.gz"
    assert document.row["text_chars"] > 200
    assert corpus.row["url"] == document.row["url"]
    assert shard.row["start"] < shard.row["end"]
    assert f"{shard.row['file']}.bin, tokens {shard.row['start']:,} to" in shard.text


def test_a_page_behind_redirects_is_told_with_the_way_to_it(finished):
    rows = read_published(Disk(finished.folder), "pages").table(["id", "outcome", "redirects"])
    row = next(r for r in rows.to_pylist() if r["outcome"] == "captured" and r["redirects"])
    page = why(finished.folder, row["id"])[1]
    first = row["redirects"][0]
    assert f"redirect to {page.row['final_url']}: {first['url']} ({first['status']})" in page.text
    assert first["url"].endswith(page.row["url"].partition("//")[2])


def test_a_link_that_was_led_in_a_circle_is_told_with_the_way(finished, fates):
    page = why(finished.folder, fates["redirect_loop"][0])[-1]
    assert page.row["redirects"]
    assert all(f"{hop['url']} ({hop['status']})" in page.text for hop in page.row["redirects"])


def test_a_near_copy_names_its_keeper_with_jaccard_and_url_and_the_keeper_is_kept(finished, fates):
    told = why(finished.folder, fates["near_copy"][0])[-1].text
    words = told.replace(",", "").split()
    keeper = words[words.index("keeper") + 1]
    assert 0.5 <= float(words[words.index("Jaccard") + 1]) < 1
    chapters = why(finished.folder, keeper)
    assert chapters[-1].stage == "shards"
    assert words[-1] == chapters[3].row["url"]


def test_a_link_id_and_every_way_to_write_a_url_tell_the_same(finished, fates):
    url = fates["kept"][0]
    story = why(finished.folder, url)
    assert why(finished.folder, id_of(url)) == story
    assert why(finished.folder, f"  {url}?utm_source=x#top ") == story
    assert why(finished.folder, f"http://www.google.com/url?url={url}") == story


@pytest.mark.parametrize("url", ["https://nobody.of-them.org/posted-this", "0" * 32])
def test_a_url_that_nobody_posted_is_said_to_be_unknown(finished, url):
    (chapter,) = why(finished.folder, url)
    assert chapter.verdict == "unknown"
    assert chapter.text == "No submission in these dumps links to it."


def test_of_an_unknown_url_the_nearest_known_ones_are_told_and_the_exit_code_is_1(
    finished, fates, capsys
):
    known = fates["kept"][0]
    name = known.split("/")[2].removeprefix("www.").split(".")[0]
    build = ["--build", str(finished.folder)]
    for typed in (known[:-1], known.replace(name, name[:-1]) + "-", known[8:] + "x"):
        assert main(["why", typed, *build]) == 1
        told = capsys.readouterr().out
        assert told.startswith(
            "links      unknown  No submission in these dumps links to it. The ne"
        )
        assert main(["why", typed, *build, "--json"]) == 1
        (chapter,) = json.loads(capsys.readouterr().out)
        assert chapter["row"]["nearest"][0] == known
        assert known in told
    assert main(["why", known[8:], *build]) == 0  # as people type it


def test_a_near_copy_names_its_keepers_url_in_the_row_too(finished, fates):
    dropped = why(finished.folder, fates["near_copy"][0])[-1]
    assert dropped.verdict == "dropped"
    assert dropped.text.endswith(", " + dropped.row["keeper_url"])


def test_a_reason_is_told_by_stage_with_file_and_line_of_what_has_no_url(finished, capsys):
    words = ["why", "line_invalid", "--build", str(finished.folder)]
    assert main([*words, "--json"]) == 0
    (chapter,) = json.loads(capsys.readouterr().out)
    assert (chapter["stage"], chapter["verdict"]) == ("links", "dropped")
    rows = chapter["row"]["rows"]
    assert len(rows) == 5
    for row in rows:
        number = int(row["detail"].rpartition(", line ")[2])
        with Lines(finished.input.settings_path.parent / row["part"]) as lines:
            line = next(islice(lines, number - 1, None))
        with pytest.raises(ValueError, match=r"."):
            json.loads(line)
    assert main(words) == 0
    first, *examples = capsys.readouterr().out.splitlines()
    assert first.endswith("[line_invalid] Such as:")
    assert [line.strip() for line in examples] == [
        f"{row['detail']} of {row['part']}" for row in rows
    ]
    assert main(["why", "comment_lost", "--build", str(finished.folder)]) == 1


def test_the_examples_of_a_reason_name_no_part_that_is_no_dump(finished):
    (chapter,) = why(finished.folder, "karma_low")
    first = chapter.row["rows"][0]
    assert f"\n{first['url']}: {first['detail']}\n" in chapter.text


@pytest.mark.parametrize(
    ("word", "near"), [("mediahost", " Did you mean media_host?"), ("volunteers", "")]
)
def test_a_word_that_can_be_no_url_is_said_to_be_none(links_only, capsys, word, near):
    assert main(["why", word, "--build", str(links_only)]) == 1
    told = f"links      unknown  {word} is no URL, no id of a link and no reason.{near}\n"
    assert capsys.readouterr().out == told


def test_a_reason_for_which_nothing_was_dropped_is_unknown(links_only, capsys):
    assert main(["why", "wikipedia", "--build", str(links_only)]) == 1
    assert "No row was dropped as [wikipedia]." in capsys.readouterr().out


def test_what_speaks_against_a_url_by_itself_is_told_though_nobody_posted_it(finished):
    (chapter,) = why(finished.folder, "https://i.imgur.com/never-posted.png")
    assert chapter.text.startswith("No submission in these dumps links to it, and if one did:")
    assert "[media_host]" in chapter.text
    (chapter,) = why(finished.folder, "ftp://nobody.example/")
    assert "[scheme_not_http]" in chapter.text


@pytest.fixture(scope="module")
def links_only(tmp_path_factory):
    """Links of a dump in which one page was posted thrice, and never counted."""
    folder = tmp_path_factory.mktemp("links_only")
    post = {"id": "a", "url": "http://a.example/", "score": 9, "created_utc": MAY_10_2012_S}
    faults = [{"over_18": True}, {"over_18": True}, {"score": None}]
    posts = [{**post, **fault} for fault in faults]
    posts.append({**post, "url": "https://kept.example/"})
    posts.append({**post, "url": SELF_POST, "is_self": True})
    posts.append({**post, "url": "http://[broken/"})
    (folder / "RS.jsonl").write_text("".join(json.dumps(post) + "\n" for post in posts))
    words = ["links", str(folder / "RS.jsonl"), "--out", str(folder / "build")]
    assert main([*words, "--over-18", "false", "--workers", "1"]) == 0
    return folder / "build"


def test_dropped_submissions_are_counted_by_reason_from_their_hashes(links_only):
    (chapter,) = why(links_only, "https://www.a.example")
    assert chapter.text.startswith("3 submissions, all dropped: 2 [over_18]")
    assert "1 [score_missing]" in chapter.text


@pytest.mark.parametrize(
    ("url", "reason"), [(SELF_POST, "self_post"), ("http://[broken/", "url_invalid")]
)
def test_a_submission_that_is_no_link_is_found_by_its_url_as_it_was_posted(links_only, url, reason):
    (chapter,) = why(links_only, url)
    assert chapter.text.startswith(f"1 submission, all dropped: 1 [{reason}]")


def test_a_dropped_submission_whose_row_is_kept_is_told_with_its_dump_and_line(links_only, capsys):
    (chapter,) = why(links_only, SELF_POST)
    assert chapter.text.endswith("(RS.jsonl line 5)")
    assert chapter.row["rows"][0]["url"] == SELF_POST
    (chapter,) = why(links_only, "http://a.example/")
    assert "(RS.jsonl line 1; RS.jsonl line 2; RS.jsonl None, line 3)" in chapter.text
    assert main(["why", SELF_POST, "--build", str(links_only)]) == 0  # it was explained


def test_the_story_ends_where_the_build_does(links_only):
    (chapter,) = why(links_only, "http://kept.example")
    assert chapter.kept
    assert chapter.stage == "links"
    assert "1 submission, first on 2012-05-09" in chapter.text


def test_the_command_prints_lines_for_people_and_json_for_programs(finished, fates, capsys):
    url = fates["too_short"][0]
    assert main(["why", url, "--build", str(finished.folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["links", "kept"], ["pages", "kept"], ["documents", "dropped"],
    ]  # fmt: skip
    assert main(["why", url, "--build", str(finished.folder), "--json"]) == 0
    chapters = json.loads(capsys.readouterr().out)
    keys = {"stage", "verdict", "kept", "text", "row"}
    assert [set(chapter) for chapter in chapters] == [keys] * 3
    assert [chapter["verdict"] for chapter in chapters] == ["kept", "kept", "dropped"]


def test_a_folder_without_links_is_an_error(tmp_path, capsys):
    assert main(["why", "http://a.example", "--build", str(tmp_path)]) == 2
    assert "run webtext build first" in capsys.readouterr().err


def test_a_file_in_the_place_of_a_build_is_told(tmp_path, capsys):
    (tmp_path / "decisions.jsonl").write_text("{}\n")
    assert main(["why", "a", "--build", str(tmp_path / "decisions.jsonl")]) == 2
    assert "decisions.jsonl is a file; --build takes" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["why", "a.example", "--build"], ["status"], ["clean"]])
def test_of_a_folder_of_builds_the_builds_are_named(links_only, capsys, words):
    assert main([*words, str(links_only.parent)]) == 2
    told = f"; name one of the builds in it: {links_only}\n"
    assert capsys.readouterr().err.endswith(told)


def cut_two_lines(part, out):
    """A corpus of one document, as the stage writes it that has lost two lines."""
    blank = {field.name: "" for field in CORPUS if str(field.type) == "string"}
    out.write_rows([{**blank, "id": "a" * 32, "lines_cut": 2, "emails_masked": 1}])
    for line in ("Log in", "Share this"):
        out.drop("lines", Reason.BOILERPLATE, id="a" * 32, detail=line)
    out.book("lines", rows_in=3, rows_out=1)
    out.book("documents", rows_in=1, rows_out=1)


def test_the_lines_that_a_document_lost_are_told(tmp_path, monkeypatch):
    def run_parts(self, task, parts):
        for part in parts:
            run_part(task, part)

    monkeypatch.setattr(Build, "run_parts", run_parts)
    step = Step("publish", 1, lambda: [Part(0, "p", "d", {})], cut_two_lines, CORPUS)
    with Build(tmp_path, EngineSettings(workers=1, free_disk_min_bytes=1), quiet=True) as build:
        build.run(Stage("corpus", "documents", (step,)))
    told = _corpus(_Made(tmp_path), "a" * 32)
    assert told.text == (
        "In the corpus, 2 lines cut, 1 emails masked\ncut: Log in\ncut: Share this"
    )
