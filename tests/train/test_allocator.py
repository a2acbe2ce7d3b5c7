import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FAULTS = """
import resource
import torch
from train.allocator import keep_freed_memory

def faults(of_rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(of_rounds):
        torch.ones(20_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults(20)
kept = keep_freed_memory()
faults(1)
print(kept, before, faults(20))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_a_large_tensor_takes_the_memory_of_the_one_before():
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    kept, before, after = done.stdout.split()
    assert kept == "True" and int(after) < int(before) / 2
