import json

import pytest
import torch

from train.benchmarks.parity import DTYPES, Trained, WideProducts, compare, main, table

A, B, C = 5, 7, 11


def matrices(kind):
    generator = torch.Generator().manual_seed(1)
    shapes = (A, B), (B, C), (A, C)
    return [torch.randn(*shape, generator=generator).to(kind).requires_grad_() for shape in shapes]


def results(x, w, bias):
    """Every kind of product and the gradients through them."""
    y = torch.addmm(bias, x, w) + x @ w
    z = torch.bmm(y[None], y.t()[None])[0]
    z.sum().backward()
    out = torch.mm(x.detach(), w.detach(), out=torch.empty_like(y))
    return y.detach(), z.detach(), out, x.grad, w.grad, bias.grad


def test_wide_products_are_those_of_bf16_but_for_the_order_of_the_sums():
    native = results(*matrices(torch.bfloat16))
    with WideProducts():
        wide = results(*matrices(torch.bfloat16))
    for ours, theirs in zip(wide, native, strict=True):
        assert ours.dtype == torch.bfloat16
        # Two rounded products are added: within two units of the last place of bf16's 8 bits.
        assert torch.allclose(ours.float(), theirs.float(), rtol=2**-6, atol=2**-4)
    x, w, _ = matrices(torch.bfloat16)
    with WideProducts():
        product = x.detach() @ w.detach()
    exact = x.detach().float() @ w.detach().float()
    assert torch.equal(product, exact.bfloat16())


def test_wide_products_leave_fp32_alone():
    plain = results(*matrices(torch.float32))
    with WideProducts():
        again = results(*matrices(torch.float32))
    assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))


def run(dtype, seed, val_loss, *step_losses):
    return Trained(dtype, seed, 1, 20, 20, val_loss, step_losses)


def test_precisions_are_compared_with_fp32_of_the_same_seed():
    bf16, master = DTYPES[1:]
    runs = [run("float32", 1, 3.0, 2.0, 2.5), run("float32", 2, 3.25, 2.25, 2.0)]
    runs += [run(bf16, 1, 3.125, 2.5, 2.0), run(bf16, 2, 3.25, 2.25, 2.0)]
    runs += [run(master, 2, 3.0, 2.0, 2.0), run(master, 1, 3.0, 2.0, 2.5)]
    plain, autocast, masters = compare(runs)
    assert plain.val_differences == (0, 0) and plain.seeds_apart == 0.25
    assert autocast.val_differences == (0.125, 0)
    assert (autocast.step_difference, autocast.step_distance) == (0, 0.25)
    assert masters.val_differences == (0, -0.25) and masters.val_loss == 3
    assert (masters.step_difference, masters.step_distance) == (-0.0625, 0.0625)
    *_, line, _, last = table([plain, autocast, masters])
    assert "+0.1250 +0.0000" in line
    # Two seeds: each is half of their distance from the mean.
    assert plain.seeds_deviation == pytest.approx(0.25 / 2**0.5)
    assert (autocast.val_error, masters.val_error) == pytest.approx((0.0625, 0.125))
    assert "deviation is 0.1768" in last and "0.0625 (bfloat16) and 0.1250" in last


def test_one_seed_tells_nothing_of_noise():
    rows = compare([run(dtype, 1, 3.0, 2.0) for dtype in DTYPES])
    assert {row.val_error for row in rows} == {row.seeds_deviation for row in rows} == {None}
    assert table(rows)[-1].endswith("lie 0.0000 apart")


@pytest.mark.slow
def test_runs_of_a_seed_start_equal_and_end_near(shards_folder, tiny, tmp_path, capsys):
    words = [str(shards_folder), "--out", str(tmp_path), *tiny, "--seeds", "1,2", "--jobs", "2"]
    assert main([*words, "--products", "wide", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["products"] == "wide" and found["steps"] == 40
    for row in found["rows"]:
        assert all(abs(d) < 0.05 for d in row["val_differences"])
    assert 0 < found["rows"][1]["step_distance"] < 0.05
    firsts = {}
    for folder in tmp_path.iterdir():
        log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        losses = [entry["loss"] for entry in log if entry["kind"] == "step"]
        firsts.setdefault(folder.name[-1], []).append(losses[0])
    assert all(max(losses) - min(losses) < 0.002 for losses in firsts.values())
    # What is trained is not trained again.
    logs = {folder: (folder / "log.jsonl").stat().st_size for folder in tmp_path.iterdir()}
    assert main([*words, "--products", "wide"]) == 0
    assert "difference by seed" in capsys.readouterr().out
    steps = [(f / "log.jsonl").read_text().count('"kind": "step"') for f in logs]
    assert steps == [40] * 6


def test_a_run_that_fails_is_named_with_its_reason(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main([str(tmp_path / "none"), "--out", str(tmp_path), "--seeds", "1"])
    told = capsys.readouterr().err
    assert left.value.code == 2 and "float32-1" in told and "no such folder" in told
