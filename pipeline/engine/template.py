"""What the process does first that the workers of a pool are forked from (server.py).

It works as it is imported: multiprocessing's fork server takes names of modules, nothing else. The
server dies with the process that started it, and its workers with the server.
"""

import os
import sys

from pipeline.engine.limits import leave_signals_to_parent
from pipeline.engine.memory import Without, keep_little

# A thread of numpy's would not live on in a worker, and the workers share all cores among them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
leave_signals_to_parent()
keep_little()
# pyarrow loads it at its first array: 0.2 CPU-seconds and 42 MB, and no row needs it.
sys.meta_path.insert(0, Without("pandas"))
