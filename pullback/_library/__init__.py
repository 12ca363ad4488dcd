"""What stands behind `torch.library`: schemas, and ops that are declared by programs."""

from pullback.face.absent import getter

__getattr__ = getter(__name__)
