import io
import json
import math
import shutil
import sys
from dataclasses import replace

import pytest
import torch
import transformers

from train.__main__ import main
from train.config import GPTConfig
from train.errors import CheckpointError
from train.export import export_folder
from train.sample import Text, generate
from train.score import log_probabilities, windows
from train.windows import window_start

CONFIG = GPTConfig(n_layer=2, n_head=2, n_embd=32, n_ctx=16, vocab_size=300)


@pytest.fixture(scope="module")
def folder(drawn, tokenizer_path, tmp_path_factory):
    """An export whose end of text is the token 0."""
    out = tmp_path_factory.mktemp("export")
    export_folder(drawn(CONFIG), out, eot_id=0, tokenizer=tokenizer_path, dtype=torch.float32)
    return out


@pytest.fixture(scope="module")
def theirs(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder).eval()


def told(capsys, *words):
    capsys.readouterr()
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("place", "start"), [(0, 0), (1, 0), (15, 0), (16, 8), (23, 8), (24, 16), (31, 16), (32, 24)]
)
def test_windows_begin_every_half_context(place, start):
    assert window_start(place, 16) == start
    assert place - start < 16


@pytest.mark.parametrize("n_ctx", [2, 3, 16, 17])
@pytest.mark.parametrize("tokens", [2, 3, 16, 17, 18, 40, 41])
def test_each_token_but_the_first_is_predicted_once_within_a_context(tokens, n_ctx):
    found = list(windows(tokens, n_ctx))
    assert [n for _, begin, end in found for n in range(begin, end)] == list(range(1, tokens))
    assert all(first < begin < end <= first + n_ctx for first, begin, end in found)


@pytest.mark.parametrize("tokens", [2, 16, 17, 41])
def test_log_probabilities_are_those_of_each_token_in_its_window(drawn, tokens):
    model = drawn(CONFIG)
    ids = torch.randint(300, (tokens,), generator=torch.Generator().manual_seed(tokens)).tolist()
    wanted = []
    with torch.no_grad():
        for place in range(1, tokens):
            seen = torch.tensor([ids[window_start(place, CONFIG.n_ctx) : place]])
            wanted.append(model(seen)[0, -1].log_softmax(-1)[ids[place]].item())
    assert log_probabilities(model, ids) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("no_eot", [False, True])
def test_a_text_has_the_log_probability_that_transformers_gives_it(
    folder, theirs, tokenizer_path, capsys, no_eot
):
    ids = Text(tokenizer_path).encode("the sea – a city")
    words = ["score", folder, "the sea – a city", *(["--no-eot"] if no_eot else [])]
    found = told(capsys, *words)
    read = torch.tensor([ids if no_eot else [0, *ids]])
    with torch.no_grad():
        log_p = theirs(read).logits.log_softmax(-1)[0]
    wanted = [log_p[n, token].item() for n, token in enumerate(read[0, 1:].tolist())]
    assert [one["id"] for one in found["scores"]] == ids
    scores = [one["log_probability"] for one in found["scores"]]
    assert scores == pytest.approx([None, *wanted] if no_eot else wanted, abs=1e-5)
    assert found["log_probability"] == pytest.approx(sum(wanted), abs=1e-4)
    assert found["perplexity"] == pytest.approx(math.exp(-sum(wanted) / len(wanted)), rel=1e-4)
    assert main(list(map(str, words))) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(ids) + 1
    assert lines[0].endswith('"the"') and lines[1].endswith('" sea"')
    assert lines[-1].strip().startswith(f"{sum(wanted):.4f}"[:6])
    assert "�" not in "".join(lines), "a part of a character is shown as the tokenizer spells it"


def test_the_likeliest_next_tokens_are_those_of_transformers(
    folder, theirs, tokenizer_path, capsys
):
    ids = [0, *Text(tokenizer_path).encode("the city")]
    with torch.no_grad():
        log_p = theirs(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
    wanted, at = log_p.topk(5)
    found = told(capsys, "sample", folder, "--prompt", "the city", "--top", "5")["next"]
    assert [one["id"] for one in found] == at.tolist()
    assert [one["log_probability"] for one in found] == pytest.approx(wanted.tolist(), abs=1e-5)
    assert main(["sample", str(folder), "--prompt", "the city", "--top", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [float(line.split()[0]) for line in lines] == pytest.approx(
        (100 * wanted.exp()).tolist(), abs=0.006
    )
    everything = told(capsys, "sample", folder, "--prompt", "the", "--top", "999")["next"]
    assert len(everything) == 300
    assert sum(math.exp(one["log_probability"]) for one in everything) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("prompt", ["the", "the city and", "q"])
def test_a_prompt_alone_gives_the_greedy_text_of_transformers(
    folder, theirs, tokenizer_path, capsys, prompt
):
    words = ["--prompt", prompt, "--temperature", "0", "--tokens", "9"]
    (found,) = told(capsys, "sample", folder, *words, "--no-eot")["samples"]
    ids = transformers.AutoTokenizer.from_pretrained(folder)(prompt, return_tensors="pt")
    text = theirs.generate(**ids, max_new_tokens=9, do_sample=False, pad_token_id=0)
    wanted = [token for token in text[0, ids["input_ids"].shape[1] :].tolist() if token != 0]
    assert found["ids"] == wanted
    (other,) = told(capsys, "sample", folder, *words)["samples"]
    assert other["ids"] != wanted, "the start of a document changes what follows"


def test_a_greedy_text_past_the_context_is_that_of_each_window(drawn):
    model, prompt = drawn(CONFIG), [1, 2, 3]
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(40):
            seen = torch.tensor([ids[window_start(len(ids), CONFIG.n_ctx) :]])
            ids.append(int(model(seen)[0, -1].argmax()))
    found = list(generate(model, [prompt], 40, seeds=[1], temperature=0, slide=True))
    assert [token for (token,) in found] == ids[3:]
    later = list(generate(model, [ids[:30]], 13, seeds=[1], temperature=0, slide=True))
    assert [token for (token,) in later] == ids[30:], "its own text as a prompt goes on the same"


def test_what_is_longer_than_the_context_wants_slide(folder, capsys):
    long = "the city and the sea " * 9
    for words in (["sample", "--prompt", long], ["sample", "--top", "3", "--prompt", long],
                  ["score", long]):  # fmt: skip
        command = [words[0], str(folder), *words[1:]]
        assert main(command) == 2
        said = capsys.readouterr()
        assert said.out == "" and "the model sees 16. With --slide it reads on" in said.err
        assert main([*command, "--slide"]) == 0
        capsys.readouterr()
    (found,) = told(
        capsys, "sample", folder, "--prompt", "the", "--tokens", "50", "--slide", "--seed", "3"
    )["samples"]
    assert found["ended"] in ("enough tokens", "end of text")


def test_a_context_that_is_just_full_needs_no_slide(folder, tokenizer_path, capsys):
    text = "a" * 15
    assert len(Text(tokenizer_path).encode(text)) == 15
    assert len(told(capsys, "score", folder, text)["scores"]) == 15
    assert main(["score", str(folder), text + "a"]) == 2


def test_texts_come_from_files_and_stdin(folder, tmp_path, capsys, monkeypatch):
    path = tmp_path / "prompt.txt"
    path.write_bytes("the sea –\n".encode())
    wanted = told(capsys, "score", folder, "the sea –")
    assert told(capsys, "score", folder, "--text-file", path) == wanted
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("the sea –\r\n".encode())))
    assert told(capsys, "score", folder, "--text-file", "-") == wanted
    options = ["--tokens", "4", "--seed", "2"]
    wanted = told(capsys, "sample", folder, "--prompt", "the sea –", *options)
    assert told(capsys, "sample", folder, "--prompt-file", path, *options) == wanted


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["score"], "there is no text to score: give TEXT or --text-file PATH"),
        (["score", "a", "--no-eot"], "which --no-eot leaves without a probability"),
        (["score", "a", "b"], "'b' is one argument too many"),
        (["score", "a", "--text-file", "x"], "TEXT and --text-file are both given; leave one out"),
        (["score", "--text-file", "{none}"], "no file at {none}"),
        (["score", "--text-file", "{latin}"], "is not UTF-8 at byte 1"),
        (["sample", "--no-eot"], "--no-eot leaves nothing to begin with: give a text"),
        (["sample", "--prompt", "a", "--prompt-file", "x"], "are both given; leave one out"),
        (
            ["sample", "--top", "3", "--tokens", "5"],
            "--tokens does nothing with --top; leave it out",
        ),
        (["sample", "--top", "-1"], "--top is -1; it must be 0 or more"),
    ],
)
def test_what_cannot_be_scored_or_written_is_refused(folder, tmp_path, capsys, words, message):
    (tmp_path / "latin").write_bytes("añ".encode("latin-1") + b"\xff")
    names = {"none": tmp_path / "none", "latin": tmp_path / "latin"}
    words = [word.format(**names) for word in words]
    assert main([words[0], str(folder), *words[1:]]) == 2
    said = capsys.readouterr()
    assert message.format(**names) in said.err and said.out == ""


def test_without_an_end_of_text_a_folder_still_scores_a_text_alone(folder, tmp_path, capsys):
    copy = shutil.copytree(folder, tmp_path / "copy")
    about = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**about, "eos_token_id": None}))
    assert main(["score", str(copy), "the sea"]) == 2
    assert "With --no-eot a text begins by itself" in capsys.readouterr().err
    assert told(capsys, "score", copy, "the sea", "--no-eot")["tokens"] == 1


def test_logits_that_are_not_finite_have_no_probability(drawn):
    broken = drawn(replace(CONFIG))
    with torch.no_grad():
        broken.head_weight[5, 2] = math.nan
    with pytest.raises(CheckpointError, match="not finite"):
        log_probabilities(broken, [1, 2, 3])
