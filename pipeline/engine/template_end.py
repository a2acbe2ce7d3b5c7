"""What the process does last that the workers of a pool are forked from; see template.py."""

import gc

from pipeline.engine.memory import give_back

gc.collect()
gc.freeze()  # looking for garbage would write to what is shared
give_back()
