"""`torch.utils.data.datapipes`: data sets made of others."""

from pullback.face.absent import getter
from pullback.utils.data.datapipes import iter as iter
from pullback.utils.data.datapipes import map as map

__getattr__ = getter(__name__)
