"""The name of `core._engine` in pickles of earlier versions, and in programs."""

import sys

from pullback.core import _engine

sys.modules[__name__] = _engine
