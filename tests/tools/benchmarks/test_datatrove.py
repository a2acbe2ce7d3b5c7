import json

from pipeline.settings_file import load
from tools.benchmarks.datatrove import keep_least, only_in, write_input
from tools.benchmarks.measure import Usage


def test_the_run_of_a_side_that_took_the_least_cpu_time_counts():
    runs: dict[tuple[int, str], Usage] = {}
    for cpu_s in (3.0, 2.0, 4.0):
        keep_least(runs, (2, "ours"), Usage(1.0, cpu_s, 1, 1, None))
    assert runs[2, "ours"].cpu_s == 2.0


def test_a_page_is_the_same_under_another_spelling_of_its_url():
    theirs = ["http://www.a.org/x?utm_source=feed", "http://b.org/"]
    assert only_in(["https://a.org/x", "https://c.org/"], theirs) == ["https://c.org/"]


def test_each_url_is_posted_once_in_the_made_dump(tmp_path):
    settings = write_input(
        tmp_path, tmp_path, ["http://a.org/1", "http://a.org/1", "http://b.org/"]
    )
    lines = (tmp_path / "RS_2012-09").read_text().splitlines()
    assert [json.loads(line)["url"] for line in lines] == ["http://a.org/1", "http://b.org/"]
    assert load(settings).profile == "clean"
