"""What a program tells TensorBoard: `torch.utils.tensorboard`, where the package is installed."""

from __future__ import annotations

import datetime
import functools
import importlib.util
import os
import socket
import sys
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from pullback.core._engine import Tensor
from pullback.face.absent import absent_name


@functools.cache
def _parts() -> SimpleNamespace:
    """The classes of the package that its files are made of."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    return SimpleNamespace(
        Event=Event,
        EventFileWriter=EventFileWriter,
        HistogramProto=HistogramProto,
        Summary=Summary,
        SummaryMetadata=SummaryMetadata,
        TensorProto=TensorProto,
        TensorShapeProto=TensorShapeProto,
    )


def _array(values: Any) -> Any:
    return np.asarray(values.detach().cpu().float().numpy() if isinstance(values, Tensor) else values)


class Writer:
    """Writes numbers, texts and histograms to a folder that TensorBoard shows, by default below `runs`."""

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
    ) -> None:
        if log_dir is None:
            now = datetime.datetime.now().strftime("%b%d_%H-%M-%S")
            log_dir = os.path.join("runs", f"{now}_{socket.gethostname()}{comment}")
        self.log_dir = os.fspath(log_dir)
        self._settings = max_queue, flush_secs, filename_suffix
        self._writers: dict[str, Any] = {}

    def _writer(self, folder: str) -> Any:
        if folder not in self._writers:
            self._writers[folder] = _parts().EventFileWriter(folder, *self._settings)
        return self._writers[folder]

    def _add(self, value: Any, step: int | None, walltime: float | None, folder: str | None = None) -> None:
        event = _parts().Event(
            summary=_parts().Summary(value=[value]),
            step=0 if step is None else int(step),
            wall_time=time.time() if walltime is None else walltime,
        )
        self._writer(folder or self.log_dir).add_event(event)

    def get_logdir(self) -> str:
        """The folder."""
        return self.log_dir

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """A number at a step."""
        self._add(
            _parts().Summary.Value(tag=tag, simple_value=float(_array(scalar_value))), global_step, walltime
        )

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Several numbers at a step, shown in one picture."""
        for name, number in tag_scalar_dict.items():
            folder = os.path.join(self.log_dir, f"{main_tag.replace('/', '_')}_{name}")
            value = _parts().Summary.Value(tag=main_tag, simple_value=float(_array(number)))
            self._add(value, global_step, walltime, folder)

    def add_text(
        self, tag: str, text_string: str, global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """A text at a step."""
        text = _parts().TensorProto(
            dtype="DT_STRING",
            string_val=[text_string.encode()],
            tensor_shape=_parts().TensorShapeProto(dim=[_parts().TensorShapeProto.Dim(size=1)]),
        )
        about = _parts().SummaryMetadata(plugin_data=_parts().SummaryMetadata.PluginData(plugin_name="text"))
        self._add(
            _parts().Summary.Value(tag=f"{tag}/text_summary", metadata=about, tensor=text),
            global_step,
            walltime,
        )

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: int | None = None,
        bins: Any = 30,
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """How numbers are spread at a step."""
        array = _array(values).astype(np.float64).ravel()
        if array.size == 0:
            raise ValueError("The input has no element.")
        counts, edges = np.histogram(array, bins=30 if isinstance(bins, str) else bins)
        histogram = _parts().HistogramProto(
            min=array.min(),
            max=array.max(),
            num=array.size,
            sum=array.sum(),
            sum_squares=(array**2).sum(),
            bucket_limit=edges[1:].tolist(),
            bucket=counts.tolist(),
        )
        self._add(_parts().Summary.Value(tag=tag, histo=histogram), global_step, walltime)

    def flush(self) -> None:
        """Writes what was added."""
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Writes what was added, and ends."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


Writer.__name__ = Writer.__qualname__ = "SummaryWriter"


def __getattr__(name: str) -> Any:
    if name != "SummaryWriter":
        raise absent_name(sys.modules[__name__], name)
    if importlib.util.find_spec("tensorboard") is None:
        raise ModuleNotFoundError("No module named 'tensorboard'", name="tensorboard")
    return Writer
