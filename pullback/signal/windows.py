"""Window functions, as `torch.signal.windows`. They are declared in `pullback/ops`."""

import sys

from pullback.face.namespaces import complete, fill

complete()
__getattr__ = fill(sys.modules[__name__], "signal.windows")
