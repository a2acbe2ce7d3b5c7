import json
import math
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from train.__main__ import main
from train.config import GPTConfig
from train.data import held_out, open_shards
from train.errors import CheckpointError, DataError, SettingsError
from train.evaluate import held_out as evaluate
from train.evaluate.held_out import hosts_of, score, score_split
from train.loss import LanguageModelLoss
from train.sample import Stream, Text, generate, sample
from train.settings import SampleSettings

CONFIG = GPTConfig(n_layer=2, n_head=2, n_embd=32, n_ctx=48, vocab_size=97)


@pytest.fixture(scope="module")
def model(drawn):
    return drawn(CONFIG)


@pytest.fixture(scope="module")
def run(shards_folder, tiny, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    assert main([str(shards_folder), "--out", str(out), *tiny]) == 0
    return out


def test_the_score_counts_every_token_of_the_split_but_the_first(model, shards_folder):
    shards = open_shards(shards_folder)
    found, _ = score_split(model, shards, "val")
    assert found.tokens == shards.tokens("val") - 1
    bits = found.loss * found.tokens / math.log(2)
    assert found.bits_per_byte == pytest.approx(bits / shards.text_bytes["val"])
    assert score_split(model, shards, "val", 200)[0].bits_per_byte is None


def test_the_loop_and_evaluate_find_the_same_loss(model, shards_folder):
    shards = open_shards(shards_folder)
    windows = held_out(shards.split("val"), CONFIG.n_ctx)
    found, _ = score_split(model, shards, "val")
    assert score(LanguageModelLoss(model), windows).loss == pytest.approx(found.loss, rel=1e-6)


def test_each_loss_counts_for_the_host_of_the_token_that_predicts(model, shards_folder):
    shards = open_shards(shards_folder)
    file = shards.split("val")[0]
    tokens, n_ctx = file.read(0, file.tokens), CONFIG.n_ctx
    wanted = {}
    document = -1
    for at in range(file.tokens - 1):
        document += tokens[at] == shards.eot_id
        first = at - at % n_ctx
        ids = torch.from_numpy(tokens[first : at + 2].astype(int))
        nats = -model(ids[None, :-1])[0, -1].log_softmax(-1)[ids[-1]].item()
        host = wanted.setdefault("many.example" if document % 3 else "few.example", [set(), 0, 0.0])
        host[0].add(document)
        host[1:] = host[1] + 1, host[2] + nats
    whole, hosts = score_split(model, shards, "val")
    assert [host.host for host in hosts] == ["many.example", "few.example"]
    for host in hosts:
        documents, count, nats = wanted[host.host]
        assert (host.documents, host.tokens) == (len(documents), count)
        assert host.loss == pytest.approx(nats / count, abs=1e-5)
    assert sum(host.tokens for host in hosts) == whole.tokens


def test_hosts_are_read_from_the_urls_whatever_these_hold(shards_folder, tmp_path):
    folder = shutil.copytree(shards_folder, tmp_path / "shards")
    file = open_shards(folder).split("val")[0]
    path = folder / "val_000000.urls.txt"
    odd = ["", "http://[::1/x", "HTTP://Ab.example:80/\u2028", "no scheme"]
    path.write_text("".join(url + "\n" for url in odd + 26 * ["http://a.example"]))
    assert hosts_of(file)[:5] == ["", "", "ab.example", "", "a.example"]
    path.write_text("http://a.example/\n")
    with pytest.raises(DataError, match="1 lines, but the index beside it has 30"):
        hosts_of(file)
    path.unlink()
    assert hosts_of(file) == []


def test_the_score_of_a_window_is_the_cross_entropy_of_its_logits(model, shards_folder):
    window = open_shards(shards_folder).split("val")[0].read(0, 49)
    ids = torch.from_numpy(window.copy()).long()
    wanted = torch.nn.functional.cross_entropy(model(ids[None, :-1])[0], ids[1:])
    assert score(LanguageModelLoss(model), [window]).loss == pytest.approx(wanted.item(), abs=1e-5)


def test_evaluate_prints_what_the_run_measured(run, capsys):
    assert main(["evaluate", str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["checkpoint"] == "step-000000040" and found["same_data_as_training"]
    assert found["perplexity"] == pytest.approx(math.exp(found["loss"]))
    assert found["bits_per_byte"] > 0
    assert sum(host["tokens"] for host in found["hosts"]) == found["tokens"]
    assert main(["evaluate", str(run)]) == 0
    table = capsys.readouterr().out
    for host in found["hosts"]:
        assert f"{host['host']} " in table and f"{host['loss']:.4f}" in table


def test_evaluate_without_urls_tells_of_no_hosts(make_shards, run, tmp_path, capsys):
    shards = make_shards(tmp_path / "shards")
    for path in shards.glob("*.urls.txt"):
        path.unlink()
    assert main(["evaluate", str(run), "--data", str(shards), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hosts"] == []


def greedy_without_cache(model, prompt, tokens):
    ids = list(prompt)
    for _ in range(tokens):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(prompt) :]


def test_a_batch_of_uneven_prompts_with_cache_equals_each_alone_without(model):
    prompts = [[1, 2, 3], [4, 5, 6, 7, 8, 9, 10], [11]]
    together = list(generate(model, prompts, 30, seeds=[1, 2, 3], temperature=0))
    for row, prompt in enumerate(prompts):
        assert [step[row] for step in together] == greedy_without_cache(model, prompt, 30)


@pytest.mark.parametrize("options", [{}, {"top_k": 5}, {"top_p": 0.7}, {"top_k": 9, "top_p": 0.5}])
def test_each_seed_fixes_its_own_sample_alone_and_in_a_batch(model, options):
    first, again, other = (
        list(generate(model, [[1]], 40, seeds=[s], **options)) for s in (3, 3, 4)
    )
    assert first == again != other
    together = list(generate(model, [[1]] * 3, 40, seeds=[4, 3, 4], **options))
    assert [list(row) for row in zip(*together, strict=True)] == [
        [token for (token,) in alone] for alone in (other, first, other)
    ]


def test_a_batch_needs_a_seed_a_prompt(model):
    with pytest.raises(ValueError, match="zip"):
        next(generate(model, [[1], [2]], 40, seeds=[1]))


def test_top_k_and_top_p_leave_only_the_likeliest(model):
    greedy = list(generate(model, [[1]], 20, seeds=[0], temperature=0))
    assert list(generate(model, [[1]], 20, seeds=[5], top_k=1)) == greedy
    assert list(generate(model, [[1]], 20, seeds=[5], top_p=1e-6)) == greedy


def test_sampling_ends_where_the_context_is_full(model):
    assert len(list(generate(model, [[1, 2, 3]], 1000, seeds=[1]))) == 48 - 3


def test_a_prompt_that_ended_gives_none_while_others_go_on(model):
    steps = list(generate(model, [[1], [2]], 40, seeds=[1, 2]))
    eot = steps[5][0]
    ended = list(generate(model, [[1], [2]], 40, seeds=[1, 2], eot_id=eot))
    for row in (0, 1):
        column, whole = ([step[row] for step in s] for s in (ended, steps))
        said = [token for token in column if token is not None]
        assert column == said + [None] * (len(column) - len(said))
        assert said == whole[: whole.index(eot) if eot in whole else len(column)]
    assert len(ended) > [step[0] for step in steps].index(eot) + 1


def test_streamed_pieces_are_whole_characters_and_join_to_the_text(tokenizer_path):
    text = Text(tokenizer_path)
    wanted = "the sea – 日本 <|endoftext|>"
    stream = Stream(text)
    pieces = [stream.add(i) for i in text.encode(wanted)]
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(pieces)
    assert "".join(pieces) + stream.finish() == wanted


def test_a_stop_text_ends_the_stream_before_it(tokenizer_path):
    text = Text(tokenizer_path)
    stream, shown = Stream(text, stop="sea"), ""
    for i in text.encode("the city, the sea and more"):
        shown += stream.add(i)
        if stream.stopped:
            break
    assert shown + stream.finish() == "the city, the " and stream.stopped


def test_a_wrong_option_of_sample_is_a_usage_error(run, capsys):
    assert main(["sample", str(run), "--top-k", "-1"]) == 2
    assert "--top-k is -1; it must be 0 or more" in capsys.readouterr().err


def test_sample_needs_a_tokenizer_and_says_so(run, capsys):
    assert main(["sample", str(run)]) == 2
    assert "give --tokenizer PATH" in capsys.readouterr().err


@pytest.fixture(scope="module")
def text_run(make_shards, tiny, tmp_path_factory, tokenizer_path):
    """A run that has a tokenizer, from beside its shards, and whose shards are gone."""
    folder = tmp_path_factory.mktemp("text")
    shards = make_shards(folder / "shards", vocab=Text(tokenizer_path).vocab_size)
    (folder / "tokenizer").mkdir()
    shutil.copy(tokenizer_path, folder / "tokenizer")
    options = [*tiny, "--steps", "6", "--sample-every", "3"]
    assert main([str(shards), "--out", str(folder / "run"), *options]) == 0
    shutil.rmtree(folder / "tokenizer")
    return folder / "run"


def sampled(run, capsys, *options):
    """What `sample` shows and, by --json, says."""
    command = ["sample", str(run), "--prompt", "the", *options]
    capsys.readouterr()
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    return shown, json.loads(capsys.readouterr().out)["samples"]


def test_the_tokenizer_beside_the_shards_goes_with_the_run(text_run, capsys):
    logged = [json.loads(line) for line in (text_run / "log.jsonl").read_text().splitlines()]
    samples = [entry for entry in logged if entry["kind"] == "sample"]
    assert [s["step"] for s in samples] == [3, 6] and all(s["text"] for s in samples)
    shown, (found,) = sampled(text_run, capsys, "--tokens", "8", "--seed", "4")
    assert shown == f"the{found['text']}\n" and len(found["ids"]) <= 8


@pytest.mark.parametrize("rows_at_once", [32, 2])
def test_samples_have_the_seeds_from_the_first_on(text_run, capsys, monkeypatch, rows_at_once):
    monkeypatch.setattr("train.sample.ROWS_AT_ONCE", rows_at_once)
    options = ["--tokens", "8", "--seed"]
    alone = [sampled(text_run, capsys, *options, str(seed))[1][0] for seed in (4, 5, 6)]
    shown, found = sampled(text_run, capsys, *options, "4", "--samples", "3")
    assert found == alone
    assert [one["seed"] for one in found] == [4, 5, 6] and found[0]["ids"] != found[1]["ids"]
    told = [f"==> seed {one['seed']} <==\nthe{one['text']}\n" for one in found]
    assert shown == "\n".join(told), "each has its seed and the prompt"


def test_samples_that_fill_the_context_say_so(text_run, capsys):
    assert main(["sample", str(text_run), "--tokens", "99", "--samples", "4", "--json"]) == 0
    out, notes = capsys.readouterr()
    samples = json.loads(out)["samples"]
    full = [one["ended"] == "context full" for one in samples]
    assert full == [len(one["ids"]) == 31 for one in samples] and any(full)
    assert notes.count("the context of 32 tokens is full") == sum(full)


def test_each_sample_ends_for_its_own_reason_and_all_of_them_the_batch(
    text_run, tokenizer_path, monkeypatch
):
    encode = Text(tokenizer_path).encode
    columns = [encode("the sea"), [*encode("and"), None], [*encode("the city"), None]]
    asked, shown = [], []

    def scripted(*args, **options):
        for at in range(100):
            asked.append("".join(shown))
            yield [column[at] if at < len(column) else column[-1] for column in columns]

    monkeypatch.setattr("train.sample.generate", scripted)
    settings = SampleSettings(run=str(text_run), tokens=100, samples=3, stop="sea", device="cpu")
    found = sample(settings, print, shown.append)["samples"]
    assert [one["ended"] for one in found] == ["stop text", "end of text", "end of text"]
    assert [one["text"] for one in found] == ["the ", "and", "the city"]
    assert [one["ids"] for one in found[1:]] == [encode("and"), encode("the city")]
    heads = [f"==> seed {seed} <==\n" for seed in (1, 2, 3)]
    assert "".join(shown) == f"{heads[0]}the \n\n{heads[1]}and\n\n{heads[2]}the city\n"
    assert len(asked) == max(map(len, columns)), "no step after the last has ended"
    assert f"{heads[0]}t" in asked and asked[-1] == f"{heads[0]}the \n", (
        "the first is live, the others wait"
    )


LIMITS = {
    "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
    "padding": {"strategy": {"Fixed": 40}, "direction": "Right", "pad_to_multiple_of": None,
                "pad_id": 0, "pad_type_id": 0, "pad_token": "!"},
}  # fmt: skip


def test_a_prompt_is_whole_whatever_a_tokenizer_does_to_batches_and_in_training(
    tokenizer_path, tmp_path
):
    content = json.loads(tokenizer_path.read_text()) | LIMITS
    content["model"]["dropout"] = 0.9
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    prompt = "the city and the sea and the city"
    wanted = Text(tokenizer_path).encode(prompt)
    read = Text(tmp_path / "tokenizer.json")
    assert [read.encode(prompt) for _ in range(3)] == [wanted] * 3


@pytest.mark.parametrize("content", [b"", b"[]", b'{"model": {}}', b'{"model": 1}', b"\xff"])
def test_a_tokenizer_that_is_none_is_named(text_run, tmp_path, capsys, content):
    (tmp_path / "tokenizer.json").write_bytes(content)
    assert main(["sample", str(text_run), "--tokenizer", str(tmp_path / "tokenizer.json")]) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path}/tokenizer.json: not a tokenizer.json" in said and "Traceback" not in said


def test_a_tokenizer_of_another_size_is_refused(run, shards_folder, tokenizer_path, tiny, capsys):
    own = ["--tokenizer", str(tokenizer_path)]
    assert main(["sample", str(run), *own]) == 2
    said = f"has {Text(tokenizer_path).vocab_size} ids, the model 97: it belongs to another; give"
    assert said in capsys.readouterr().err
    words = [str(shards_folder), "--out", str(run.parent / "sized"), *tiny, "--sample-every", "3"]
    assert main([*words, *own]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("temperature", ["1e-40", "1e-320", "1e-7"])
def test_next_to_no_temperature_takes_the_likeliest_token(text_run, capsys, temperature):
    greedy, cold = (
        sampled(text_run, capsys, "--tokens", "8", "--temperature", one)
        for one in ("0", temperature)
    )
    assert cold == greedy


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "99999999999999999999"], "--seed is 99999999999999999999; it must be 0 or"),
        (["--seed", str(2**64 - 1), "--samples", "2"], "--seed is 18446744073709551615; it must"),
        (["--seed", "-1"], "--seed is -1; it must be 0 or more"),
        (["--prompt", "a\udcffb"], "--prompt is a\\udcffb; it must be text in UTF-8"),
        (["--stop", "\udcfe"], "--stop is \\udcfe; it must be text in UTF-8"),
        (["--temperature", "inf"], "--temperature is inf; it must be a finite number"),
    ],
)
def test_what_no_generator_or_tokenizer_takes_is_refused(text_run, capsys, options, message):
    assert main(["sample", str(text_run), "--tokens", "2", *options]) == 2
    out, said = capsys.readouterr()
    assert message in said and not out


def test_the_highest_seed_is_one(text_run, capsys):
    shown, _ = sampled(text_run, capsys, "--tokens", "2", "--seed", str(2**64 - 1))
    assert shown.startswith("the")


@pytest.mark.parametrize("options", [{"temperature": 0}, {"top_k": 3}, {}])
def test_logits_that_are_not_finite_are_an_error_and_no_token(drawn, options):
    broken = drawn(CONFIG)
    with torch.no_grad():
        broken.head_weight[5, 2] = math.nan
    with pytest.raises(CheckpointError, match="not finite"):
        list(generate(broken, [[1]], 3, seeds=[1], **options))


@pytest.fixture(scope="module")
def char_run(tiny, tmp_path_factory):
    """A run on nanoGPT's characters."""
    folder = tmp_path_factory.mktemp("characters")
    ids = {letter: i for i, letter in enumerate("\n abcdé")}
    meta = {"vocab_size": len(ids), "stoi": ids, "itos": {i: letter for letter, i in ids.items()}}
    (folder / "meta.pkl").write_bytes(pickle.dumps(meta))
    text = "abcd é dcba\n" * 300
    for split in ("train", "val"):
        np.array([ids[letter] for letter in text], "<u2").tofile(folder / f"{split}.bin")
    words = [str(folder), "--out", str(folder / "run"), *tiny, "--sample-every", "20"]
    assert main(words) == 0
    return folder / "run"


def test_characters_are_trained_on_and_sampled(char_run, capsys):
    about = json.loads((char_run / "run.json").read_text())
    assert (about["config"]["vocab_size"], about["eot_id"]) == (7, None)
    words = ["sample", str(char_run), "--temperature", "0", "--tokens", "12"]
    assert main([*words, "--prompt", "abcd"]) == 0
    assert capsys.readouterr().out == "abcd é dcba\nabcd\n"
    assert main([*words, "--prompt", "axbcd"]) == 0
    assert "the tokenizer reads the prompt as 'abcd'" in capsys.readouterr().err
    assert main(words) == 0
    assert main(["evaluate", str(char_run)]) == 0


def test_commands_on_something_that_is_no_run_say_so(tmp_path, capsys):
    assert main(["evaluate", str(tmp_path)]) == 2
    assert main(["sample"]) == 2
    error = capsys.readouterr().err
    assert "no run.json there" in error and "RUN is missing" in error


def test_evaluation_and_sampling_do_not_wait_for_the_compiler(text_run, tokenizer_path):
    code = (
        "import sys; from train.__main__ import main; run, tokenizer = sys.argv[1:]; "
        "found = main(['evaluate', run]) + main(['sample', run, '--tokenizer', tokenizer]); "
        "sys.exit(found or 'torch._dynamo' in sys.modules)"
    )
    words = [sys.executable, "-P", "-c", code, str(text_run), str(tokenizer_path)]
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(words, env=path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def only_json(text):
    """The value of a JSON text that has no NaN or Infinity, which are no JSON."""

    def no_number(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=no_number)


@pytest.mark.parametrize(("loss", "told"), [(math.nan, "nan"), (math.inf, "inf")])
def test_a_loss_that_is_not_finite_is_null_in_json_and_an_error(
    run, monkeypatch, capsys, loss, told
):
    hosts = [evaluate.HostScore("a.example", 1, 5, loss), evaluate.HostScore("b.example", 1, 4, 8)]
    found = evaluate.Score(loss, 9, 30), hosts
    monkeypatch.setattr(evaluate, "score_split", lambda *_: found)
    assert main(["evaluate", str(run), "--json"]) == 1
    seen = capsys.readouterr()
    value = only_json(seen.out)
    assert value["loss"] is value["perplexity"] is value["bits_per_byte"] is None
    assert [host["loss"] for host in value["hosts"]] == [None, 2.0]
    assert f"train: {run}: the loss is {told}" in seen.err
    assert main(["evaluate", str(run)]) == 1
    assert f"loss {told} nats a token" in capsys.readouterr().out


def test_a_perplexity_beyond_all_numbers_is_said_to_be(run, monkeypatch, capsys):
    monkeypatch.setattr(evaluate, "score_split", lambda *_: (evaluate.Score(9e3, 9, 30), []))
    assert main(["evaluate", str(run)]) == 0
    assert "loss 1000.0000 nats a token, perplexity beyond 2e+308" in capsys.readouterr().out
    assert main(["evaluate", str(run), "--json"]) == 0
    assert only_json(capsys.readouterr().out)["perplexity"] is None


@pytest.mark.parametrize("pieces", [0, 2])
def test_an_error_while_sampling_has_a_line_of_its_own(text_run, monkeypatch, capsys, pieces):
    def broken(settings, note, show):
        for piece in ["one", " two"][:pieces]:
            show(piece)
        raise SettingsError("no more")

    monkeypatch.setattr("train.sample.sample", broken)
    assert main(["sample", str(text_run), "--prompt", "the city"]) == 2
    told = capsys.readouterr()
    assert told.out == ("one two\n" if pieces else "")
    assert told.err == "train: no more\n"


def test_a_prompt_that_is_too_long_is_refused_before_it_is_shown(text_run, capsys):
    assert main(["sample", str(text_run), "--prompt", "the city " * 99]) == 2
    told = capsys.readouterr()
    assert told.out == "" and "--prompt has" in told.err
