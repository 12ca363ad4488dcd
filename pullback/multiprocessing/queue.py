"""`torch.multiprocessing.queue`: Python's `multiprocessing.queues`, which share tensors."""

from multiprocessing.queues import Queue as Queue
from multiprocessing.queues import SimpleQueue as SimpleQueue

from pullback.face.absent import getter

__getattr__ = getter(__name__)
