"""Convolution, pooling and sampling: what the rows cannot say. Closed forms, large inputs, any order."""

import numpy as np
import pytest
from library import ON_TORCH, pullback_only, torch

F = torch.nn.functional


def drawn(*shape, seed=0):
    """Normal numbers in float64, that require grad."""
    data = np.random.default_rng(seed).normal(size=shape)
    return torch.from_numpy(data).requires_grad_()


def inner(a, b):
    """The dot product of two tensors as a number."""
    return float((a * b).sum())


# -------------------------------------------------------------------------------- convolution


def by_loops(x, w, stride=1, padding=0, dilation=1):
    """The convolution of one channel, by its definition."""
    x = np.pad(x, padding)
    reach = [dilation * (k - 1) + 1 for k in w.shape]
    out = [(n - m) // stride + 1 for n, m in zip(x.shape, reach, strict=True)]
    y = np.zeros(out)
    for i in range(out[0]):
        for j in range(out[1]):
            top, left = i * stride, j * stride
            y[i, j] = (x[top : top + reach[0] : dilation, left : left + reach[1] : dilation] * w).sum()
    return y


@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), (3, 2, 2)])
def test_convolution_is_its_definition(stride, padding, dilation):
    x, w = drawn(1, 1, 9, 11), drawn(1, 1, 3, 2, seed=1)
    y = F.conv2d(x, w, stride=stride, padding=padding, dilation=dilation)
    expected = by_loops(x.detach().numpy()[0, 0], w.detach().numpy()[0, 0], stride, padding, dilation)
    np.testing.assert_allclose(y.detach().numpy()[0, 0], expected, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "weight", "options"),
    [
        ((3, 40, 60, 70), (30, 40, 3, 3), {"padding": 1}),  # an image takes several tiles
        ((9, 24, 40, 40), (8, 24, 3, 3), {"stride": 2}),  # several images a tile
        ((70, 64, 5, 5), (16, 64, 3, 3), {}),  # the columns of images stand side by side
        ((6, 32, 33, 31), (32, 8, 3, 3), {"groups": 4}),
        ((4, 16, 33, 31), (32, 1, 5, 3), {"groups": 16, "stride": 2, "padding": (2, 1)}),
    ],
)
def test_large_convolutions_and_their_transposes_agree(shape, weight, options):
    """<y, conv(x, w)> is the same product whichever factor is computed from the two others."""
    x, w = drawn(*shape), drawn(*weight, seed=1)
    y = F.conv2d(x, w, **options)
    g = drawn(*y.shape, seed=2).detach()
    gx, gw = torch.autograd.grad(y, (x, w), g)
    expected = inner(g, y.detach())
    assert inner(gx, x.detach()) == pytest.approx(expected, rel=1e-9)
    assert inner(gw, w.detach()) == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(
        F.conv2d(x.detach()[:1], w.detach(), **options).numpy(), y.detach().numpy()[:1], atol=1e-9
    )
    np.testing.assert_allclose(
        torch.autograd.grad(F.conv2d(x[1:2], w, **options), x, g[1:2])[0].numpy()[1], gx.numpy()[1], atol=1e-9
    )


def test_convolution_of_a_delta_is_the_weight():
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    w = torch.arange(9.0).view(1, 1, 3, 3)
    assert F.conv2d(x, w)[0, 0].flip(0, 1).tolist() == w[0, 0].tolist()
    assert F.conv_transpose2d(x, w)[0, 0, 2:5, 2:5].tolist() == w[0, 0].tolist()


def test_third_derivative_of_a_cubed_convolution():
    """y = sum(conv(x, w)**3): the third derivative in x along u is 6 * sum(conv(u, w)**3)."""
    x, w, u = drawn(1, 2, 6), drawn(3, 2, 3, seed=1), drawn(1, 2, 6, seed=2).detach()
    y = (F.conv1d(x, w) ** 3).sum()
    for _ in range(3):
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        y = (g * u).sum()
    expected = 6 * (F.conv1d(u, w) ** 3).sum()
    assert y.item() == pytest.approx(expected.item(), rel=1e-10)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_padding_does_not_touch_what_is_not_finite(value):
    x = torch.zeros(2, 4, 5, 5)
    x[:, :, 2, 2] = value
    for groups, w in ((1, torch.ones(4, 4, 3, 3)), (4, torch.ones(4, 1, 3, 3))):
        y = F.conv2d(x, w, padding=1, groups=groups)
        assert int((~y.isfinite()).sum()) == 2 * 4 * 9


def test_operators_by_other_names():
    x, w = drawn(1, 2, 5), drawn(3, 2, 3, seed=1)
    same = torch.convolution(x, w, None, [1], [1], [1], False, [0], 1)
    assert torch.equal(same, F.conv1d(x, w, padding=1))
    theta = drawn(1, 2, 3)
    assert torch.equal(
        torch.affine_grid_generator(theta, (1, 1, 4, 5), False),
        F.affine_grid(theta, (1, 1, 4, 5), align_corners=False),
    )
    channels = torch.arange(12.0).view(1, 6, 2)
    assert torch.equal(torch.native_channel_shuffle(channels, 3), torch.channel_shuffle(channels, 3))


@pullback_only("PyTorch has it among its operators only")
def test_the_operator_of_smooth_interpolation():
    image = drawn(1, 1, 4, 4)
    smooth = torch._upsample_bilinear2d_aa(image, (2, 3), False)
    assert torch.equal(smooth, F.interpolate(image, (2, 3), mode="bilinear", antialias=True))


@pytest.mark.parametrize("name", ["upsample", "upsample_nearest", "upsample_bilinear"])
def test_former_names_warn(name):
    image = drawn(1, 1, 4, 4)
    with pytest.warns(UserWarning, match=f"`nn.functional.{name}` is deprecated"):
        result = getattr(F, name)(image, size=6)
    smooth = {"mode": "bilinear", "align_corners": True} if "bilinear" in name else {}
    assert torch.equal(result, F.interpolate(image, size=6, **smooth))


# ------------------------------------------------------------------------------------- pooling


def test_a_mean_counts_what_it_is_told_to():
    x = torch.ones(1, 1, 3, 3)
    assert F.avg_pool2d(x, 2, 2, 1)[0, 0].tolist() == [[0.25, 0.5], [0.5, 1.0]]
    assert F.avg_pool2d(x, 2, 2, 1, count_include_pad=False)[0, 0].tolist() == [[1, 1], [1, 1]]
    assert F.avg_pool2d(x, 2, divisor_override=1).tolist() == [[[[4.0]]]]


def test_means_of_integers_are_cut():
    assert F.avg_pool1d(torch.tensor([[-3, 0, 3, 0]]), 2).tolist() == [[-1, 1]]


def test_the_largest_is_the_first_of_equal_ones_and_nan_wins():
    x = torch.tensor([[1.0, 2.0, 2.0, float("nan"), -float("inf"), -float("inf")]], requires_grad=True)
    y, places = F.max_pool1d(x, 3, return_indices=True)
    assert places.tolist() == [[1, 3]]
    y.sum().backward()
    assert x.grad.tolist() == [[0, 1, 0, 1, 0, 0]]


def test_unpooling_puts_back_what_pooling_took():
    x = drawn(2, 3, 6, 8)
    y, places = F.max_pool2d(x, 2, return_indices=True)
    back = F.max_unpool2d(y, places, 2)
    kept = back != 0
    assert int(kept.sum()) == y.numel()
    assert torch.equal(back[kept], x[kept])


def test_fractional_windows_are_drawn():
    torch.manual_seed(0)
    x = drawn(2, 3, 12, 13)
    several = [F.fractional_max_pool2d(x, 2, output_size=(5, 6)) for _ in range(8)]
    assert all(y.shape == (2, 3, 5, 6) for y in several)
    assert any(not torch.equal(several[0], y) for y in several[1:])
    values = set(x.detach().numpy().ravel())
    assert set(several[0].detach().numpy().ravel()) <= values


def test_fractional_windows_stay_in_the_image():
    """Whatever the samples are; NaN is the largest, the last of several."""
    x = torch.arange(50.0).view(1, 2, 5, 5)
    for sample in (1.5, -3.0, float("nan"), float("inf")):
        y = F.fractional_max_pool2d(x, 2, output_size=3, _random_samples=torch.full((1, 2, 2), sample))
        assert y[0, :, 2, 2].tolist() == [24, 49]
    x = torch.tensor([[[float("nan"), 1, float("nan")], [1, 2, 3]]])
    _, place = F.fractional_max_pool2d(
        x, (2, 3), 1, _random_samples=torch.zeros(1, 1, 2), return_indices=True
    )
    assert place.tolist() == [[[2]]]


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (torch.rand(2, 3, 2, dtype=torch.float64), "the same dtype"),
        (torch.rand(3, 2), "to have 3 dimensions, got 2"),
        (torch.rand(1, 3, 2), r"size\(0\) no less then input batch size"),
        (torch.rand(2, 1, 2), r"size\(1\) equals to input channel size"),
        (torch.rand(2, 3, 3), r"size\(2\) equals to 2; got 3"),
    ],
)
def test_samples_of_windows_fit_the_input(samples, words):
    with pytest.raises(RuntimeError, match=words):
        F.fractional_max_pool2d(torch.rand(2, 3, 6, 6), 2, output_size=3, _random_samples=samples)


@pytest.mark.parametrize("place", [-1, 16, 1 << 40])
def test_places_outside_are_refused(place):
    places = torch.tensor([[[[0, 5], [place, 10]]]])
    with pytest.raises(RuntimeError, match=f"Found an invalid max index: {place} "):
        F.max_unpool2d(torch.ones(1, 1, 2, 2), places, 2)


# ------------------------------------------------------------------------------- interpolation


def test_linear_maps_keep_lines():
    """A line is interpolated without error between its ends, by every smooth mode."""
    line = torch.linspace(0, 1, 9, dtype=torch.float64).view(1, 1, 1, 9).expand(1, 1, 3, 9)
    for mode in ("bilinear", "bicubic"):
        y = F.interpolate(line, (3, 17), mode=mode, align_corners=True)[0, 0, 1]
        np.testing.assert_allclose(y.numpy()[2:-2], np.linspace(0, 1, 17)[2:-2], atol=1e-12)


def test_fold_counts_the_windows_of_each_pixel():
    x = torch.ones(1, 1, 4, 4)
    counts = F.fold(F.unfold(x, 3), (4, 4), 3)[0, 0]
    assert counts.tolist() == [[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]


# ------------------------------------------------------------------------------- grid sampling


def test_an_identical_grid_gives_the_image():
    x = drawn(2, 3, 5, 6)
    identity = torch.eye(2, 3, dtype=torch.float64).expand(2, 2, 3)
    for corners in (False, True):
        grid = F.affine_grid(identity, (2, 3, 5, 6), align_corners=corners)
        for mode in ("bilinear", "nearest", "bicubic"):
            y = F.grid_sample(x, grid, mode, align_corners=corners)
            np.testing.assert_allclose(y.detach().numpy(), x.detach().numpy(), atol=1e-12)


@pullback_only("PyTorch has no derivative of bicubic sampling beyond the second")
def test_bicubic_sampling_has_all_derivatives():
    """Along a line through a pixel the weights are cubics: the fourth derivative vanishes, the third not."""
    image = drawn(1, 1, 7, 7).detach()
    place = torch.tensor([[[[0.11, -0.07]]]], dtype=torch.float64, requires_grad=True)

    def at(t):
        shifted = torch.cat([place[..., :1] + t, place[..., 1:]], -1)
        return F.grid_sample(image, shifted, "bicubic", align_corners=True).sum()

    t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    values = [at(t)]
    for _ in range(4):
        values.append(torch.autograd.grad(values[-1], t, create_graph=True)[0])
    h = 1e-2
    points = [at(torch.tensor(k * h, dtype=torch.float64)).item() for k in (-2, -1, 1, 2)]
    third = (points[3] - 2 * points[2] + 2 * points[1] - points[0]) / (2 * h**3)
    assert values[3].item() == pytest.approx(third, rel=1e-6)
    assert values[4].item() == pytest.approx(0, abs=1e-6)


@pullback_only("PyTorch has no forward mode of grid_sample")
def test_forward_mode_of_sampling():
    x, grid = drawn(1, 2, 5, 6).detach(), drawn(1, 3, 4, 2, seed=1).detach() * 0.4
    dx, dgrid = drawn(1, 2, 5, 6, seed=2).detach(), drawn(1, 3, 4, 2, seed=3).detach()

    def sampled(x, grid):
        return F.grid_sample(x, grid, "bicubic", "border", False)

    _, tangent = torch.func.jvp(sampled, (x, grid), (dx, dgrid))
    h = 1e-6
    change = (sampled(x + h * dx, grid + h * dgrid) - sampled(x - h * dx, grid - h * dgrid)) / (2 * h)
    np.testing.assert_allclose(tangent.numpy(), change.numpy(), rtol=1e-6, atol=1e-7)


def test_sampling_without_a_choice_of_corners_warns():
    with pytest.warns(UserWarning, match="has changed to align_corners=False"):
        F.grid_sample(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 1, 2))
    with pytest.warns(UserWarning, match="unit-size grids"):
        F.affine_grid(torch.zeros(1, 2, 3), (1, 1, 1, 2), align_corners=True)


def test_places_that_are_no_numbers_are_outside():
    grid = torch.tensor([[[[float("nan"), 0.0], [float("inf"), 0.0], [1e30, 1e30]]]])
    image = torch.ones(1, 1, 3, 3)
    for mode in ("bilinear", "nearest", "bicubic"):
        y = F.grid_sample(image, grid, mode, "zeros", False)[0, 0, 0]
        assert not y.isinf().any()
        if not ON_TORCH:
            assert y.tolist() == [0, 0, 0]


# ------------------------------------------------------------------------------------- refusals

REFUSED = [
    (lambda: F.conv2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 5, 5)), "Kernel size can't be greater"),
    (lambda: F.conv2d(torch.ones(1, 1, 4, 4), torch.ones(1, 2, 3, 3)), "to have 2 channels, but got 1"),
    (lambda: F.conv2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3), padding="x"), "Invalid padding string"),
    (lambda: F.conv2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3), stride=0), "non-positive stride"),
    (lambda: F.conv_transpose2d(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2), output_padding=1),
     "output padding must be smaller"),
    (lambda: F.max_pool2d(torch.ones(1, 1, 4, 4), 5), "Output size is too small"),
    (lambda: F.max_pool2d(torch.ones(1, 1, 4, 4), 2, padding=2), "at most half of effective kernel size"),
    (lambda: F.avg_pool2d(torch.ones(1, 1, 4, 4), 2, divisor_override=0), "divisor must be not zero"),
    (lambda: F.pad(torch.ones(1, 1, 4), (4, 4), mode="reflect"), "Padding size should be less than"),
    (lambda: F.interpolate(torch.ones(1, 1, 4, 4), 0), "should be greater than 0"),
    (lambda: F.fold(torch.ones(1, 4, 8), (4, 4), 2), r"but got input.size\(2\)=8"),
    (lambda: F.grid_sample(torch.ones(1, 1, 4, 4), torch.ones(2, 2, 2, 2), "nearest", "zeros", True),
     "same batch"),
    (lambda: torch.pixel_shuffle(torch.ones(1, 3, 2, 2), 2), "is not divisible by 4"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_refusal(call, words):
    with pytest.raises(RuntimeError, match=words):
        call()


@pullback_only("PyTorch's threads write equal indices in any order")
def test_of_equal_places_the_last_element_and_its_tangent_stay():
    places = torch.tensor([[[1, 1]]])
    value, tangent = torch.func.jvp(
        lambda x: torch.nn.functional.max_unpool1d(x, places, 2),
        (torch.tensor([[[1.0, 2.0]]]),),
        (torch.tensor([[[10.0, 20.0]]]),),
    )
    assert value.tolist() == [[[0.0, 2.0, 0.0, 0.0]]]
    assert tangent.tolist() == [[[0.0, 20.0, 0.0, 0.0]]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("arguments", [(2,), (3, 1, 1), (3, 2, 1), (2, 3), (4, 3, 2, 2), (5, 5, 0, 1, True)])
def test_windows_side_by_side_are_those_one_by_one(dtype, arguments):
    """Half precisions are looked at window by window, float and double many at a time: the first of equal
    elements and NaN are where they are."""
    pick = np.random.default_rng(len(arguments)).integers(0, 6, (2, 3, 7, 301))
    values = np.array([-np.inf, -1.0, 0.0, 2.0, 2.0, np.nan])
    for shape in ((2, 3, 7, 301), (3, 7, 301), (1, 7, 5)):
        x = torch.tensor(values[pick.reshape(-1)[: int(np.prod(shape))].reshape(shape)])
        for function, of in ((F.max_pool2d, x), (F.max_pool1d, x.flatten(0, -3).flatten(0, 1))):
            some = arguments if function is F.max_pool2d or len(arguments) < 5 else (5, 5)
            one = function(of.half(), *some, return_indices=True)
            many = function(of.to(dtype), *some, return_indices=True)
            assert torch.equal(one[1], many[1])
            torch.testing.assert_close(one[0].to(dtype), many[0], rtol=0, atol=0, equal_nan=True)
