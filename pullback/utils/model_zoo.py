"""`torch.utils.model_zoo`: the first name of `torch.hub.load_state_dict_from_url`."""

from pullback.face.absent import getter
from pullback.hub import _NoBar as tqdm
from pullback.hub import load_state_dict_from_url as load_url

__all__ = ["load_url", "tqdm"]

__getattr__ = getter(__name__)
