"""Tensors of other libraries, as `torch.utils.dlpack`. The functions are declared in `pullback/ops`."""

import sys

from pullback.face.namespaces import complete, fill_namespace

complete()
__getattr__ = fill_namespace(sys.modules[__name__], "utils.dlpack")
