"""`torch.testing`: comparisons within a tolerance, and tensors of random numbers to test with."""

from pullback.face.absent import getter
from pullback.testing._comparison import assert_allclose, assert_close
from pullback.testing._creation import make_tensor
from pullback.testing._file_check import FileCheck

__all__ = ["FileCheck", "assert_allclose", "assert_close", "make_tensor"]

__getattr__ = getter(__name__)
