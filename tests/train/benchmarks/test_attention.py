from train.benchmarks.attention import main


def test_the_table_has_a_line_a_length_and_says_what_is_computed_densely(capsys):
    words = ["--lengths", "16,64,128", "--band", "8", "--rounds", "1"]
    assert main(words) == 0
    head, rule, *lines = capsys.readouterr().out.splitlines()
    assert (
        head.startswith("| tokens | dense: ms, positions | banded") and rule == "|---|---|---|---|"
    )
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert [row[0] for row in cells] == ["16", "64", "128"]
    assert [row[1].split(", ")[1] for row in cells] == ["8", "32", "64"]
    assert [row[3].split(", ")[1] for row in cells] == ["8 (dense)", "32 (dense)", "15"]
