import subprocess
import sys

import pytest

CODE = """
import sys
from pipeline.engine.memory import spare_pandas, without
spare_pandas()
import pyarrow as pa
table = pa.table({"n": [1, 2]})
assert "pandas" not in sys.modules
with without("pandas"):
    try:
        import pandas
    except ModuleNotFoundError as error:
        assert error.name == "pandas"
    else:
        raise AssertionError("it was imported")
print(list(table.to_pandas()["n"]))
"""


def test_arrow_does_without_pandas_until_a_frame_is_asked_for():
    pytest.importorskip("pandas")
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("[1, 2]\n", "")
