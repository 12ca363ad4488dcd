"""The op table of the tests: one row an op. What a row says is in samples.py."""

import importlib
from pathlib import Path

_FILES = sorted(path.stem for path in Path(__file__).parent.glob("rows_*.py"))

ROWS = [row for module in map(importlib.import_module, _FILES) for row in getattr(module, "ROWS", ())]
