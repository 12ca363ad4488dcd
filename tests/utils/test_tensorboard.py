"""`torch.utils.tensorboard` needs a package, and says so where that is missing."""

import importlib
import importlib.util

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
