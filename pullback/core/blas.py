"""How long the threads of OpenBLAS wait for work.

NumPy and SciPy each bring an OpenBLAS of their own, whose idle threads turn in place before they go
to sleep. A product by NumPy and a decomposition by SciPy, in turn, then take the cores from each
other: gradients of decompositions were seven times slower. This must run before either is loaded.
"""

import os

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")  # 2**20 ticks of the processor, not 2**26
