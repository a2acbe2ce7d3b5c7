"""Imported by the process that workers are forked from: it knows which one that was."""

import os

IMPORTED_BY = os.getpid()
