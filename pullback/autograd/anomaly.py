"""Anomaly mode: which line of the forward pass is to blame for an error or a NaN of the backward
pass.

While it is on, each node keeps the traceback of the call that made it in
`node.metadata["traceback_"]`, and the node whose backward step made it in `"parent_"`. The engine
calls `note`, `enter`, `leave`, `report` and `check_nan`; what a user enters is `detect_anomaly` and
`set_detect_anomaly`.
"""

from __future__ import annotations

import contextlib
import linecache
import os
import sys
import threading
import traceback
import warnings
from types import FrameType
from typing import Any

import numpy as np

from pullback.core import _engine

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
"""Frames of files below are ours, not the user's."""

_running = threading.local()


class detect_anomaly:
    """Within, errors of backward passes show the forward call that led to them, and NaN is an
    error.

    With `check_nan=False` NaN passes. It slows everything down: for debugging only.
    """

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan
        self.before = _engine.anomaly_state()
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should "
            "only be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        self.before = _engine.set_anomaly(True, self.check_nan)

    def __exit__(self, *exc: object) -> None:
        _engine.set_anomaly(*self.before)


class set_detect_anomaly:
    """Turns anomaly mode on or off: at once as a call, for a while as a context.

    >>> import pullback as torch
    >>> with torch.autograd.set_detect_anomaly(True):
    ...     torch.is_anomaly_enabled()
    True
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.before = _engine.set_anomaly(mode, check_nan)

    def __enter__(self) -> None:
        """It is set already."""

    def __exit__(self, *exc: object) -> None:
        _engine.set_anomaly(*self.before)


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on."""
    return _engine.anomaly_state()[0]


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly mode, where it is on, looks for NaN."""
    return _engine.anomaly_state()[1]


# ------------------------------------------------------------------------- what the engine calls


def note(node: Any) -> None:
    """Keeps the present traceback with a node that was just made."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    node.metadata["traceback_"] = traceback.format_list(traceback.extract_stack(frame))
    parent = getattr(_running, "node", None)
    if parent is not None:
        node.metadata["parent_"] = parent


def enter(node: Any) -> Any:
    """Says which node runs; returns the one that ran around it, for `leave`."""
    outer = getattr(_running, "node", None)
    _running.node = node
    return outer


def leave(outer: Any) -> None:
    """Goes back to the node that ran before."""
    _running.node = outer


def report(node: Any) -> None:
    """Warns which node failed, with its forward call, and so on for the nodes that made it."""
    lines = _forward_call(node)
    if lines is None:
        told = "No forward pass information available. Enable detect anomaly during forward pass for "
        told += "more information."
    else:
        told = "Traceback of forward call that caused the error:\n" + "".join(lines)
    _tell(f"Error detected in {node.name()}. {told}")
    parent = node.metadata.get("parent_")
    while parent is not None:
        lines = _forward_call(parent)
        start = f"\n\nPrevious calculation was induced by {parent.name()}. "
        if lines is None:
            _tell(
                start + "No forward pass information available. Enable detect anomaly during forward "
                "pass for more information."
            )
            return
        _tell(start + "Traceback of forward call that induced the previous calculation:\n" + "".join(lines))
        parent = parent.metadata.get("parent_")


def _forward_call(node: Any) -> list[str] | None:
    """The calls that made a node, or the line that `explaining` noted; None if neither is known."""
    lines: list[str] | None = node.metadata.get("traceback_")
    step = node.metadata.get("step")
    if lines is None and step is not None and step.line is not None:
        place = step.line
        lines = [f'  File "{place.file}", line {place.number}, in {place.function}\n    {place.text}\n']
    return lines


def _tell(message: str) -> None:
    with contextlib.suppress(Warning):  # the error that is told of is the one to be raised
        warnings.warn(message, stacklevel=2)


def check_nan(node: Any, results: list[Any]) -> None:
    """RuntimeError if one of a node's gradients holds NaN."""
    for i, g in enumerate(results):
        if g is not None and g.dtype.kind in "fc" and np.isnan(g._array).any():
            raise RuntimeError(f"Function '{node.name()}' returned nan values in its {i}th output.")


# ------------------------------------------------------------------ both lines of an in-place error


def user_frame() -> FrameType | None:
    """The frame of the user's code that is running."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename.startswith(HERE):
        frame = frame.f_back
    return frame


def user_line() -> str:
    """The line of the user's code that is running, as a traceback shows it."""
    frame = user_frame()
    if frame is None:
        return ""
    name, line = frame.f_code.co_filename, frame.f_lineno
    source = linecache.getline(name, line, frame.f_globals).strip()
    return f'  File "{name}", line {line}, in {frame.f_code.co_name}\n    {source}\n'


def both_lines(holder: Any, writer: str | None) -> str:
    """Where a value was saved and where it was overwritten, as far as anomaly mode saw it."""
    told = ""
    lines = [s for s in holder.metadata.get("traceback_", ()) if f'File "{HERE}' not in s]
    if lines:
        told += f"The value was saved for the gradient of {holder.name()} here:\n{lines[-1]}"
    if writer:
        told += f"It was last overwritten here:\n{writer}"
    return told
