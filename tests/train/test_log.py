import json
import math

import pytest

from train.log import RunLog, perplexity, plain, read_log, told_perplexity


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (0.0, "1.00"), (3.5, "33.12"), (13.8, "984609.11"), (50.0, "5.18e+21"),
        (700.0, "1.01e+304"), (710.0, "beyond 2e+308"), (math.inf, "beyond 2e+308"),
        (math.nan, "not a number"),
    ],
)  # fmt: skip
def test_a_perplexity_is_told_as_what_it_is(loss, told):
    assert told_perplexity(loss) == told
    found = perplexity(loss)
    assert found is None or math.isfinite(found)
    assert (found is None) == (told in ("beyond 2e+308", "not a number"))


def test_json_has_null_for_what_is_no_number_at_any_depth():
    value = {"loss": math.nan, "hosts": [{"loss": math.inf, "tokens": 3}], "pair": (1.5, -math.inf)}
    wanted = {"loss": None, "hosts": [{"loss": None, "tokens": 3}], "pair": [1.5, None]}
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == wanted


def test_a_line_torn_within_a_character_is_left_out(tmp_path):
    log = RunLog(tmp_path / "log.jsonl", pytest.fail)
    log.write("sample", step=1, text="日本")
    log.close()
    whole = log.path.read_bytes()
    for torn in (whole[:-4], b""):  # at the end of a file; in the middle, where no room was found
        log.path.write_bytes(whole + torn)
        assert [entry["text"] for entry in read_log(tmp_path)] == ["日本"]
    log.path.write_bytes(whole + whole[:-4])
    again = RunLog(log.path, pytest.fail)
    again.cut(1)
    again.close()
    assert log.path.read_bytes() == whole


@pytest.mark.parametrize("damage", ["null", "{}", '{"kind": "step"}', "[1]", "\0\0", "[" * 9**5])
def test_a_damaged_line_is_left_out_and_told(tmp_path, damage):
    notes, line = [], '{"kind": "step", "step": 1}\n'
    (tmp_path / "log.jsonl").write_text(f"{line}{damage}\n{line}")
    assert len(read_log(tmp_path)) == 2
    RunLog(tmp_path / "log.jsonl", notes.append).cut(1)
    assert (tmp_path / "log.jsonl").read_text() == 2 * line
    assert notes == [f"{tmp_path / 'log.jsonl'}: 1 damaged lines are left out"]
