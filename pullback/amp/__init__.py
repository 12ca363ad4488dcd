"""`torch.amp`: computing in mixed precision."""

from pullback.amp.autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from pullback.amp.grad_scaler import GradScaler
from pullback.face.absent import getter

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

__getattr__ = getter(__name__)
