"""What workers that extract pages have alike: 130 MB, and a second of work each without it.

Loaded as this module is imported, which the process does that they are forked from (pool.py).
"""

from pipeline.documents.blocks.model import load_model
from pipeline.documents.engines import load_stop_words, load_trafilatura
from pipeline.documents.extract import settle

load_trafilatura()
load_stop_words()
load_model()
settle()
