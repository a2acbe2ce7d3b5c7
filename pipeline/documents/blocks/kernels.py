"""compiled.c as a module, or None where no compiler was at hand when the package was installed."""

import importlib
from typing import Any

compiled: Any
try:
    compiled = importlib.import_module("pipeline.documents.blocks.compiled")
except ImportError:
    compiled = None
