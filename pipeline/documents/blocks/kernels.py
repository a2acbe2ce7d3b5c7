"""compiled.c as a module, or None where no compiler was at hand when the package was installed.

A module that was built before the newest of its functions is none either: `make setup` builds it.
"""

import importlib
from typing import Any

compiled: Any
try:
    compiled = importlib.import_module("pipeline.documents.blocks.compiled")
except ImportError:
    compiled = None
if not hasattr(compiled, "know_levels"):
    compiled = None
