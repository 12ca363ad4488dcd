"""What TensorBoard shows besides numbers: pictures, sounds, curves, layouts and graphs."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pullback.core.types import Array


def png(pixels: Array) -> bytes:
    """Bytes of an image file: height x width x channels (1, 3 or 4) of eight bits."""
    height, width, channels = pixels.shape
    colours = {1: 0, 3: 2, 4: 6}[channels]
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each row begins with how it is filtered: not
    rows[:, 1:] = pixels.reshape(height, -1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows.tobytes())), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def pixels_of(values: Array, dims: str) -> Array:
    """An image, or a batch of them side by side, as height x width x channels of eight bits.

    `dims` names the dims: letters of N, C, H and W. Floats are from 0 to 1.
    """
    dims = dims.upper()
    if len(set(dims)) != len(dims) or not set(dims) <= set("NCHW") or len(dims) != values.ndim:
        raise ValueError(f"an image of shape {list(values.shape)} cannot have the dims {dims!r}")
    for letter in "NC":
        if letter not in dims:
            values, dims = values[None], letter + dims
    batch = np.transpose(values, [dims.index(letter) for letter in "NHWC"])
    count, height, width, channels = batch.shape
    across = min(count, 8)
    down = -(-count // across)
    grid = np.zeros((down * height, across * width, channels), batch.dtype)
    for k, image in enumerate(batch):
        top, left = k // across * height, k % across * width
        grid[top : top + height, left : left + width] = image
    if grid.dtype != np.uint8:
        grid = np.clip(grid.astype(np.float64) * 255, 0, 255).astype(np.uint8)
    return np.repeat(grid, 3, 2) if channels == 1 else grid


def image(parts: Any, tag: str, pixels: Array) -> Any:
    """A picture."""
    height, width, channels = pixels.shape
    told = parts.Summary.Image(
        height=height, width=width, colorspace=channels, encoded_image_string=png(pixels)
    )
    return parts.Summary.Value(tag=tag, image=told)


def figure_pixels(figure: Any) -> Array:
    """A figure of matplotlib as pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def audio(parts: Any, tag: str, sound: Array, rate: int) -> Any:
    """A sound: one channel, numbers from -1 to 1."""
    samples = (np.clip(sound.reshape(-1), -1, 1) * 32767).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes(samples.tobytes())
    told = parts.Summary.Audio(
        sample_rate=rate,
        num_channels=1,
        length_frames=samples.size,
        encoded_audio_string=file.getvalue(),
        content_type="audio/wav",
    )
    return parts.Summary.Value(tag=tag, audio=told)


def precision_and_recall(labels: Array, scores: Array, thresholds: int, weights: Array | None) -> Array:
    """True and false positives, true and false negatives, precision and recall, a row each, by threshold."""
    weights = np.ones(labels.shape) if weights is None else weights
    labels, scores, weights = (np.asarray(a, np.float64).ravel() for a in (labels, scores, weights))
    least = 1e-7
    bucket = np.floor(scores * (thresholds - 1)).astype(int)
    bins = np.arange(thresholds + 1) - 0.5
    right = np.histogram(bucket, bins, weights=labels * weights)[0][::-1].cumsum()[::-1]
    wrong = np.histogram(bucket, bins, weights=(1 - labels) * weights)[0][::-1].cumsum()[::-1]
    missed, refused = right[0] - right, wrong[0] - wrong
    precision = right / np.maximum(least, right + wrong)
    return np.stack([right, wrong, refused, missed, precision, right / np.maximum(least, right + missed)])


def pr_curve(parts: Any, tag: str, rows: Array) -> Any:
    """A curve of precision over recall."""
    from tensorboard.plugins.pr_curve import metadata

    about = metadata.create_summary_metadata(display_name=tag, description="", num_thresholds=rows.shape[1])
    return tensor(parts, tag, rows.astype(np.float32), about)


def tensor(parts: Any, tag: str, values: Array, about: Any = None) -> Any:
    """The numbers of a tensor."""
    from tensorboard.util.tensor_util import make_tensor_proto

    if about is None:
        about = parts.SummaryMetadata(data_class="DATA_CLASS_TENSOR")
    return parts.Summary.Value(tag=tag, tensor=make_tensor_proto(values), metadata=about)


def layout(parts: Any, categories: Mapping[str, Mapping[str, Sequence[Any]]]) -> Any:
    """Which curves stand in which pictures: {category: {title: ["Multiline" or "Margin", [tags]]}}."""
    from tensorboard.plugins.custom_scalar import layout_pb2, metadata

    found = []
    for name, charts in categories.items():
        shown = []
        for title, (kind, tags) in charts.items():
            if kind == "Margin":
                series = layout_pb2.MarginChartContent.Series(value=tags[0], lower=tags[1], upper=tags[2])
                content: Any = {"margin": layout_pb2.MarginChartContent(series=[series])}
            else:
                content = {"multiline": layout_pb2.MultilineChartContent(tag=list(tags))}
            shown.append(layout_pb2.Chart(title=title, **content))
        found.append(layout_pb2.Category(title=name, chart=shown))
    whole = layout_pb2.Layout(category=found).SerializeToString()
    about = metadata.create_summary_metadata()
    return tensor(parts, metadata.CONFIG_SUMMARY_TAG, np.array(whole, object), about)


def mesh(parts: Any, tag: str, arrays: Mapping[str, Array | None], config: Any) -> list[Any]:
    """A surface of triangles: vertices, and colors and faces if there are any."""
    import json

    from tensorboard.plugins.mesh import metadata
    from tensorboard.plugins.mesh.plugin_data_pb2 import MeshPluginData

    kinds = {
        "vertices": MeshPluginData.VERTEX,
        "faces": MeshPluginData.FACE,
        "colors": MeshPluginData.COLOR,
    }
    given = {name: a for name, a in arrays.items() if a is not None}
    mask = metadata.get_components_bitmask([kinds[name] for name in given])
    found = []
    for name, a in given.items():
        about = metadata.create_summary_metadata(
            tag, tag, kinds[name], mask, list(a.shape), json_config=json.dumps(config, sort_keys=True)
        )
        found.append(tensor(parts, metadata.get_instance_name(tag, kinds[name]), a, about))
    return found


def hyperparameters(
    parts: Any, values: Mapping[str, Any], metrics: Sequence[str], choices: Mapping[str, Sequence[Any]]
) -> list[Any]:
    """What a run was made with: the experiment, the run's beginning and its end."""
    from google.protobuf import struct_pb2
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    def kind(value: Any) -> Any:
        if isinstance(value, bool):
            return api_pb2.DATA_TYPE_BOOL
        return api_pb2.DATA_TYPE_STRING if isinstance(value, str) else api_pb2.DATA_TYPE_FLOAT64

    def value_of(value: Any) -> Any:
        if isinstance(value, bool):
            return struct_pb2.Value(bool_value=value)
        if isinstance(value, str):
            return struct_pb2.Value(string_value=value)
        return struct_pb2.Value(number_value=float(value))

    infos = []
    for name, value in values.items():
        info = api_pb2.HParamInfo(name=name, type=kind(value))
        for choice in choices.get(name, ()):
            info.domain_discrete.values.append(value_of(choice))
        infos.append(info)
    experiment = api_pb2.Experiment(
        hparam_infos=infos,
        metric_infos=[api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in metrics],
    )
    start = plugin_data_pb2.SessionStartInfo(
        hparams={name: value_of(value) for name, value in values.items() if value is not None}
    )
    end = plugin_data_pb2.SessionEndInfo(status=api_pb2.STATUS_SUCCESS)
    data = {
        metadata.EXPERIMENT_TAG: plugin_data_pb2.HParamsPluginData(experiment=experiment),
        metadata.SESSION_START_INFO_TAG: plugin_data_pb2.HParamsPluginData(session_start_info=start),
        metadata.SESSION_END_INFO_TAG: plugin_data_pb2.HParamsPluginData(session_end_info=end),
    }
    return [
        parts.Summary.Value(tag=tag, metadata=metadata.create_summary_metadata(told))
        for tag, told in data.items()
    ]


def graph(names: Sequence[tuple[str, str, Sequence[str]]]) -> bytes:
    """A graph of nodes: the name, the op, and the names of those that lead to it."""
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from tensorboard.compat.proto.node_def_pb2 import NodeDef
    from tensorboard.compat.proto.versions_pb2 import VersionDef

    nodes = [NodeDef(name=name, op=op, input=list(above)) for name, op, above in names]
    made: bytes = GraphDef(node=nodes, versions=VersionDef(producer=22)).SerializeToString()
    return made
