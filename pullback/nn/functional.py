"""Functions of neural networks, as `torch.nn.functional`. They are declared in `pullback/ops`."""

import sys

from pullback.face.namespaces import fill_namespace

__getattr__ = fill_namespace(sys.modules[__name__], "nn.functional")
