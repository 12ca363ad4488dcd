"""Images whose channels are last in memory stay so; `resize_` obeys a memory format."""

import pytest
from library import torch

F = torch.nn.functional
LAST = torch.channels_last
WEIGHT = torch.rand(4, 4, 3, 3)
KEPT = {
    "conv2d": lambda x: F.conv2d(x, WEIGHT),
    "conv2d by the weight": lambda x: F.conv2d(x.contiguous(), WEIGHT.contiguous(memory_format=LAST)),
    "conv_transpose2d": lambda x: F.conv_transpose2d(x, WEIGHT),
    "max_pool2d": lambda x: F.max_pool2d(x, 2),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 2),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 3),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, 3),
    "bilinear": lambda x: F.interpolate(x, size=8, mode="bilinear"),
    "nearest": lambda x: F.interpolate(x, scale_factor=2.0),
    "pad": lambda x: F.pad(x, (1, 1)),
    "reflect": lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"),
    "group_norm": lambda x: F.group_norm(x, 2),
    "batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
    "cat": lambda x: torch.cat([x, x], 1),
    "pixel_unshuffle": lambda x: F.pixel_unshuffle(x, 2),
    "relu": torch.relu,
    "add": lambda x: x + 1,
}


def images():
    return torch.rand(2, 4, 6, 6).contiguous(memory_format=LAST)


@pytest.mark.parametrize("name", KEPT)
def test_channels_stay_last(name):
    x = images()
    y = KEPT[name](x)
    assert y.is_contiguous(memory_format=LAST) and not y.is_contiguous()
    assert torch.allclose(y, KEPT[name](x.contiguous()), atol=1e-6)


@pytest.mark.parametrize("name", KEPT)
def test_contiguous_images_stay_contiguous(name):
    if name != "conv2d by the weight":
        assert KEPT[name](images().contiguous()).is_contiguous()


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d", "bilinear", "batch_norm", "conv2d"])
def test_gradients_lie_as_the_images_do(name):
    x = images().requires_grad_()
    KEPT[name](x).square().sum().backward()
    assert x.grad.is_contiguous(memory_format=LAST)
    flat = x.detach().contiguous().requires_grad_()
    KEPT[name](flat).square().sum().backward()
    assert flat.grad.is_contiguous() and torch.allclose(x.grad, flat.grad, atol=1e-4)


def test_a_list_of_both_formats_is_contiguous():
    x = images()
    assert torch.cat([x, x.contiguous()]).is_contiguous()


def test_resize_obeys_the_format():
    x = torch.arange(12.0)
    x.resize_((1, 2, 2, 3), memory_format=LAST)
    assert x.stride() == (12, 1, 6, 2) and x[0, :, 0, 0].tolist() == [0.0, 1.0]
    y = torch.rand(96)
    y.resize_as_(images()[:, :3, :4, :4].contiguous(memory_format=LAST), memory_format=torch.preserve_format)
    assert y.stride() == (48, 1, 12, 3)


def test_meta_tensors_know_the_format():
    x = torch.empty(2, 4, 6, 6, device="meta").contiguous(memory_format=LAST)
    assert F.max_pool2d(x, 2).is_contiguous(memory_format=LAST)
    assert F.batch_norm(x, None, None, training=True).is_contiguous(memory_format=LAST)


EXPANDED = {
    "front": lambda: torch.arange(24).reshape(2, 3, 4).transpose(0, 2).expand(2, 4, 3, 2),
    "middle": lambda: torch.arange(6).reshape(2, 3).t()[:, None].expand(3, 5, 2),
    "row": lambda: torch.arange(3).expand(2, 3),
}


@pytest.mark.parametrize("name", EXPANDED)
@pytest.mark.parametrize("op", ["sin", "angle", "add", "div", "where"])
def test_results_of_expanded_operands_lie_as_their_casts(name, op):
    x = EXPANDED[name]()
    result = {
        "sin": lambda: x.sin(),
        "angle": lambda: torch.angle(x),
        "add": lambda: x + 1.5,
        "div": lambda: x / x,
        "where": lambda: torch.where(x > 0, -0.3, x),
    }[op]()
    assert result.stride() == x.float().stride() == {
        "front": (24, 1, 4, 12), "middle": (1, 3, 15), "row": (3, 1),
    }[name]  # fmt: skip


def test_means_of_integers_keep_the_format():
    x = torch.arange(32).reshape(1, 2, 4, 4).contiguous(memory_format=torch.channels_last)
    y = torch.nn.functional.avg_pool2d(x, 2)
    assert y.is_contiguous(memory_format=torch.channels_last)
