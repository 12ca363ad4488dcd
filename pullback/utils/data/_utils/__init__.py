"""The parts that a DataLoader is made of; packages import some of their names."""

from pullback.face.absent import getter
from pullback.utils.data._utils import collate, fetch, worker

__all__ = ["collate", "fetch", "worker"]

MP_STATUS_CHECK_INTERVAL = worker.MP_STATUS_CHECK_INTERVAL

__getattr__ = getter(__name__)
