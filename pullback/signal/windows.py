"""Window functions, as `torch.signal.windows`. They are declared in `pullback/ops`."""

import sys

from pullback.face.namespaces import complete, fill_namespace

complete()
__getattr__ = fill_namespace(sys.modules[__name__], "signal.windows")
