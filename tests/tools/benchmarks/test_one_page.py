from tools.benchmarks.one_page import compare


def test_both_commands_take_cpu_time_on_a_page(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<article><p>" + "It had rained for three days, and nobody knew why. " * 20)
    ours_s, theirs_s = compare(page, 1)
    assert ours_s > 0.01
    assert theirs_s > 0.01
