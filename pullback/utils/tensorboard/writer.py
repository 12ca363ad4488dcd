"""What a program tells TensorBoard: `torch.utils.tensorboard`, where the package is installed."""

from __future__ import annotations

import datetime
import functools
import importlib.util
import math
import os
import socket
import sys
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from pullback.autograd.graph import nodes_below
from pullback.core._engine import Tensor
from pullback.face.absent import absent_name
from pullback.utils.tensorboard import values as made_of


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


def _pixels(image: Any) -> Any:
    """An image's numbers: bytes as they are, others as floats."""
    if isinstance(image, Tensor):
        image = image.detach().numpy() if image.dtype.name == "uint8" else _array(image)
    return np.asarray(image)


def _plain(value: Any) -> Any:
    """A hyperparameter as bool, text or number."""
    if isinstance(value, (bool, str, int, float)) or value is None:
        return value
    if isinstance(value, Tensor):
        return value.item()
    raise ValueError("value should be one of int, float, str, bool, or torch.Tensor")


def _table(path: str, rows: Any) -> None:
    """Writes rows as text, parted by tabs."""
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            cells = row if isinstance(row, (list, tuple, np.ndarray)) else [row]
            file.write("\t".join(str(cell) for cell in cells) + "\n")


class Writer:
    """Writes numbers, pictures and curves to a folder that TensorBoard shows, by default below `runs`."""

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

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """A picture at a step; `dataformats` says which dims are its channels, height and width."""
        pixels = made_of.pixels_of(_pixels(img_tensor), dataformats)
        self._add(made_of.image(_parts(), tag, pixels), global_step, walltime)

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """A batch of pictures, side by side."""
        self.add_image(tag, img_tensor, global_step, walltime, dataformats)

    def add_figure(
        self,
        tag: str,
        figure: Any,
        global_step: int | None = None,
        close: bool = True,
        walltime: float | None = None,
    ) -> None:
        """A figure of matplotlib, or several of one size, as a picture; closed afterwards."""
        figures = figure if isinstance(figure, (list, tuple)) else [figure]
        batch = np.stack([made_of.figure_pixels(one) for one in figures])
        self.add_images(tag, batch, global_step, walltime, "NHWC")
        if close:
            import matplotlib.pyplot as plt

            for one in figures:
                plt.close(one)

    def add_audio(
        self,
        tag: str,
        snd_tensor: Any,
        global_step: int | None = None,
        sample_rate: int = 44100,
        walltime: float | None = None,
    ) -> None:
        """A sound: numbers from -1 to 1."""
        self._add(made_of.audio(_parts(), tag, _array(snd_tensor), sample_rate), global_step, walltime)

    def add_tensor(
        self, tag: str, tensor: Any, global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """The numbers of a tensor."""
        self._add(made_of.tensor(_parts(), tag, _array(tensor)), global_step, walltime)

    def add_pr_curve(
        self,
        tag: str,
        labels: Any,
        predictions: Any,
        global_step: int | None = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Precision and recall of predictions from 0 to 1, for labels that are 0 or 1."""
        weighing = None if weights is None else _array(weights)
        rows = made_of.precision_and_recall(
            _array(labels), _array(predictions), min(num_thresholds, 127), weighing
        )
        self._add(made_of.pr_curve(_parts(), tag, rows), global_step, walltime)

    def add_custom_scalars(self, layout: Mapping[str, Mapping[str, Any]]) -> None:
        """Which numbers stand in which pictures: {category: {title: ["Multiline" or "Margin", [tags]]}}."""
        self._add(made_of.layout(_parts(), layout), None, None)

    def add_mesh(
        self,
        tag: str,
        vertices: Any,
        colors: Any = None,
        faces: Any = None,
        config_dict: Any = None,
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Surfaces of triangles, or clouds of points: vertices (batch, n, 3), and the like for the others."""
        arrays = {"vertices": vertices, "faces": faces, "colors": colors}
        given = {name: None if a is None else _array(a) for name, a in arrays.items()}
        for value in made_of.mesh(_parts(), tag, given, config_dict):
            self._add(value, global_step, walltime)

    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        hparam_domain_discrete: Mapping[str, Any] | None = None,
        run_name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        """What a run was made with, and what came of it, in a folder of its own."""
        if not isinstance(hparam_dict, dict) or not isinstance(metric_dict, dict):
            raise TypeError("hparam_dict and metric_dict should be dictionary.")
        folder = os.path.join(self.log_dir, run_name or str(time.time()))
        given = {name: _plain(value) for name, value in hparam_dict.items()}
        choices = hparam_domain_discrete or {}
        for value in made_of.hyperparameters(_parts(), given, list(metric_dict), choices):
            self._add(value, None, None, folder)
        for name, number in metric_dict.items():
            value = _parts().Summary.Value(tag=name, simple_value=float(_array(number)))
            self._add(value, global_step, None, folder)

    def add_graph(
        self, model: Any, input_to_model: Any = None, verbose: bool = False, use_strict_trace: bool = True
    ) -> None:
        """The graph of a module, called once: its ops, and its parameters below their modules."""
        inputs = input_to_model if isinstance(input_to_model, (tuple, list)) else (input_to_model,)
        result = model(*inputs)
        known = {id(p): name.replace(".", "/") for name, p in model.named_parameters()}
        names: dict[Any, str] = {}
        nodes = []
        for node in reversed(nodes_below(result)):
            leaf = getattr(node, "variable", None)
            names[node] = known.get(id(leaf), f"{node.name()}_{len(names)}")
            above = [names[other] for other, _ in node.next_functions if other is not None]
            nodes.append((names[node], "Parameter" if leaf is not None else node.name(), above))
        graph = _parts().Event(graph_def=made_of.graph(nodes), wall_time=time.time())
        self._writer(self.log_dir).add_event(graph)

    def add_embedding(
        self,
        mat: Any,
        metadata: Any = None,
        label_img: Any = None,
        global_step: int | None = None,
        tag: str = "default",
        metadata_header: Any = None,
    ) -> None:
        """Vectors for TensorBoard's projector: a row each, with a label and a picture, if given."""
        place = f"{0 if global_step is None else global_step:05}/{tag}"
        folder = os.path.join(self.log_dir, place)
        os.makedirs(folder, exist_ok=True)
        rows = _array(mat)
        _table(os.path.join(folder, "tensors.tsv"), rows)
        told = [f'embeddings {{\ntensor_name: "{tag}:{place[:5]}"\ntensor_path: "{place}/tensors.tsv"']
        if metadata is not None:
            head = [metadata_header] if metadata_header else []
            _table(os.path.join(folder, "metadata.tsv"), [*head, *metadata])
            told.append(f'metadata_path: "{place}/metadata.tsv"')
        if label_img is not None:
            images = _pixels(label_img)
            side = math.ceil(math.sqrt(len(images)))
            padded = np.concatenate([images, np.zeros((side * side - len(images), *images.shape[1:]))])
            strips = [
                made_of.pixels_of(np.concatenate(list(row), 2), "CHW")
                for row in padded.reshape(side, side, *images.shape[1:])
            ]
            with open(os.path.join(folder, "sprite.png"), "wb") as file:
                file.write(made_of.png(np.concatenate(strips)))
            height, width = images.shape[2:]
            told.append(f'sprite {{\nimage_path: "{place}/sprite.png"')
            told.append(f"single_image_dim: {width}\nsingle_image_dim: {height}\n}}")
        with open(os.path.join(self.log_dir, "projector_config.pbtxt"), "a", encoding="utf-8") as config:
            config.write("\n".join([*told, "}\n"]))

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
