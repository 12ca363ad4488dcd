"""Functions of neural networks, as `torch.nn.functional`. They are declared in `pullback/ops`."""

import sys

from pullback.face.namespaces import complete, fill

complete()
__getattr__ = fill(sys.modules[__name__], "nn.functional")
