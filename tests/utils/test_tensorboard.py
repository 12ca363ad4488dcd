"""`torch.utils.tensorboard` needs a package, and says so where that is missing."""

import importlib
import importlib.util
import io
import struct
import wave
import zlib

import numpy as np
import pytest
from library import ON_TORCH, torch

there = importlib.util.find_spec("tensorboard") is not None


@pytest.mark.skipif(there, reason="the package is installed")
def test_without_the_package():
    with pytest.raises(ImportError, match="No module named 'tensorboard'"):
        importlib.import_module(f"{torch.__name__}.utils.tensorboard").SummaryWriter  # noqa: B018


@pytest.mark.skipif(not there or ON_TORCH, reason="the package is not installed")
def test_what_is_written_is_read(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with torch.utils.tensorboard.SummaryWriter(tmp_path) as writer:
        for step in range(3):
            writer.add_scalar("loss", torch.tensor(1.0 / (step + 1)), step)
        writer.add_text("text", "words")
        writer.add_histogram("weights", torch.randn(100), 1)
        writer.add_scalars("both", {"a": 1, "b": 2.0}, 0)
    read = EventAccumulator(str(tmp_path))
    read.Reload()
    assert [round(event.value, 4) for event in read.Scalars("loss")] == [1.0, 0.5, 0.3333]
    assert read.Histograms("weights")[0].histogram_value.num == 100
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"both_a", "both_b"}


@pytest.fixture
def read(tmp_path):
    """What a function that is given a writer has written: an accumulator of its events."""
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    def reader(write):
        with torch.utils.tensorboard.SummaryWriter(str(tmp_path)) as writer:
            write(writer)
        found = accumulators.EventAccumulator(str(tmp_path), size_guidance={accumulators.TENSORS: 0})
        found.Reload()
        return found

    return reader


def pixels_of(data):
    """The bytes of a PNG file whose rows are not filtered: width, height, channels, pixels."""
    width, height = struct.unpack(">II", data[16:24])
    channels = {0: 1, 2: 3, 6: 4}[data[25]]
    start = data.index(b"IDAT") + 4
    size = int.from_bytes(data[start - 8 : start - 4], "big")
    rows = np.frombuffer(zlib.decompress(data[start : start + size]), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, channels)


@pytest.mark.skipif(ON_TORCH, reason="its images may be filtered")
def test_pictures(read):
    image = torch.arange(12, dtype=torch.float32).reshape(1, 3, 4) / 11
    found = read(
        lambda w: (
            w.add_image("one", image, 3),
            w.add_image("plain", image[0], dataformats="HW"),
            w.add_image("bytes", torch.full((2, 2, 3), 7, dtype=torch.uint8), dataformats="HWC"),
            w.add_images("many", torch.ones(9, 3, 2, 2)),
        )
    )
    event = found.Images("one")[0]
    assert (event.step, event.width, event.height) == (3, 4, 3)
    expected = (np.arange(12).reshape(3, 4) / 11 * 255).astype(np.float32).astype(np.uint8)
    np.testing.assert_allclose(pixels_of(event.encoded_image_string)[..., 1].astype(int), expected, atol=1)
    assert (pixels_of(found.Images("bytes")[0].encoded_image_string) == 7).all()
    many = pixels_of(found.Images("many")[0].encoded_image_string)
    assert many.shape == (4, 16, 3) and (many[:2] == 255).all() and (many[2:, 2:] == 0).all()
    with pytest.raises(ValueError, match="cannot have the dims 'CHW'"):
        read(lambda w: w.add_image("wrong", torch.ones(2, 2)))


def test_figures(read):
    plt = pytest.importorskip("matplotlib.pyplot")
    figure = plt.figure(figsize=(2, 1), dpi=50)
    found = read(lambda w: w.add_figure("figure", figure))
    assert (found.Images("figure")[0].width, found.Images("figure")[0].height) == (100, 50)
    assert not plt.fignum_exists(figure.number)


def test_curves_tensors_and_sounds(read):
    labels, scores = torch.tensor([0, 1, 1, 0]), torch.tensor([0.1, 0.8, 0.6, 0.7])
    found = read(
        lambda w: (
            w.add_pr_curve("pr", labels, scores, num_thresholds=5),
            w.add_tensor("numbers", torch.tensor([1.0, 2.0])),
            w.add_audio("sound", torch.linspace(-1, 1, 100).reshape(1, -1), sample_rate=8000),
        )
    )
    from tensorboard.util.tensor_util import make_ndarray

    rows = make_ndarray(found.Tensors("pr")[0].tensor_proto)
    np.testing.assert_allclose(rows[0], [2, 2, 2, 1, 0])
    np.testing.assert_allclose(rows[4], [0.5, 2 / 3, 2 / 3, 1, 0], rtol=1e-6)
    np.testing.assert_allclose(make_ndarray(found.Tensors("numbers")[0].tensor_proto), [1, 2])
    with wave.open(io.BytesIO(found.Audio("sound")[0].encoded_audio_string)) as file:
        assert (file.getframerate(), file.getnframes()) == (8000, 100)


def test_hyperparameters(read, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    read(lambda w: w.add_hparams({"lr": 0.1, "name": "a", "on": True}, {"loss": 0.5}, run_name="run"))
    found = EventAccumulator(str(tmp_path / "run"))
    found.Reload()
    assert found.Scalars("loss")[0].value == 0.5
    told = metadata.parse_session_start_info_plugin_data(
        found.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    )
    assert told.hparams["lr"].number_value == pytest.approx(0.1) and told.hparams["on"].bool_value
    assert told.hparams["name"].string_value == "a"
    with pytest.raises(TypeError, match="should be dictionary"):
        read(lambda w: w.add_hparams([1], {}))


@pytest.mark.skipif(ON_TORCH, reason="it traces the module")
def test_graphs_layouts_surfaces_and_embeddings(read, tmp_path):
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    points = torch.zeros(1, 3, 3)
    found = read(
        lambda w: (
            w.add_graph(net, torch.ones(1, 2)),
            w.add_custom_scalars(
                {"all": {"losses": ["Multiline", ["a", "b"]], "m": ["Margin", ["a", "b", "c"]]}}
            ),
            w.add_mesh("mesh", points, faces=torch.tensor([[[0, 1, 2]]])),
            w.add_embedding(torch.eye(3), metadata=["a", "b", "c"], label_img=torch.ones(3, 3, 2, 2)),
        )
    )
    names = {node.name for node in found.Graph().node}
    assert {"0/weight", "0/bias"} <= names and any(name.startswith("ReluBackward0") for name in names)
    assert {"mesh_VERTEX", "mesh_FACE"} <= set(found.Tags()["tensors"])
    assert "custom_scalars__config__" in found.Tags()["tensors"]
    folder = tmp_path / "00000" / "default"
    assert (folder / "tensors.tsv").read_text().splitlines()[0] == "1.0\t0.0\t0.0"
    assert (folder / "metadata.tsv").read_text() == "a\nb\nc\n"
    assert pixels_of((folder / "sprite.png").read_bytes()).shape == (4, 4, 3)
    assert 'tensor_name: "default:00000"' in (tmp_path / "projector_config.pbtxt").read_text()
