"""Rows of convolutions, pooling, padding, interpolation and sampling. samples.py tells how to read them.

What fractional pooling draws is given to it: the draws themselves are in test_spatial.py.
"""

from samples import (
    ALL,
    FLOATS,
    NUMBER,
    In,
    P,
    S,
    distinct,
    inf,
    nan,
    table,
    these,
    x,
)

ROWS, rows = table()
F = "nn.functional."


def functions(names, calls, **options):
    """Rows of functions in torch.nn.functional."""
    options = {"kinds": FLOATS, "forms": "f", **options}
    rows(" ".join(F + name for name in names.split()), calls, **options)


# --------------------------------------------------------------------------------- convolutions
# Complex ones are made of three real ones in PyTorch, so the names of nodes differ.
CONV = {"kinds": NUMBER, "composite": True, "tol": 8}
TRANSPOSED = {**CONV, "kinds": "lhgfc"}
functions(
    "conv1d",
    [
        S(x(2, 4, 9), x(6, 4, 3), x(6)),
        S(x(2, 4, 9), x(6, 2, 3), stride=2, padding=2, groups=2),
        S(x(4, 9), x(4, 4, 2), padding="same"),
        S(x(2, 4, 9), x(8, 1, 3), x(8), padding=1, dilation=2, groups=4),
        S(x(0, 4, 9), x(6, 4, 3)),
    ],
    **CONV,
)
functions(
    "conv2d",
    [
        S(x(2, 3, 5, 6), x(4, 3, 3, 2), x(4)),
        S(x(2, 4, 5, 6), x(6, 2, 3, 3), x(6), stride=(2, 1), padding=(1, 2), groups=2),
        S(x(3, 5, 6), x(4, 3, 1, 1), x(4)),
        S(x(2, 3, 5, 6), x(4, 3, 1, 1)),
        S(x(2, 3, 5, 6), x(4, 3, 3, 2), padding="same", dilation=(1, 2)),
        S(x(2, 3, 5, 6), x(4, 3, 3, 2), padding="valid"),
        S(x(2, 3, 6, 6), x(6, 1, 3, 3), x(6), stride=2, padding=1, groups=3),
        S(x(2, 3, 8, 8), x(3, 1, 3, 3), stride=3, dilation=2, padding=2, groups=3),
        S(x(0, 3, 5, 6), x(4, 3, 3, 2), x(4)),
    ],
    **CONV,
)
functions(
    "conv3d",
    [
        S(x(2, 2, 4, 5, 3), x(3, 2, 2, 3, 2), x(3)),
        S(x(2, 2, 4, 5, 3), x(4, 1, 2, 3, 2), stride=2, padding=1, groups=2),
        S(x(2, 4, 5, 3), x(3, 2, 3, 3, 3), padding="same"),
    ],
    **CONV,
)
functions(
    "conv_transpose1d",
    [
        S(x(2, 4, 5), x(4, 3, 3), x(3)),
        S(x(2, 4, 5), x(4, 2, 3), x(4), stride=3, padding=1, output_padding=2, groups=2),
        S(x(4, 5), x(4, 3, 3), dilation=2),
        S(x(1, 2, 4), x(2, 2, 3), dilation=3, output_padding=2),
    ],
    **TRANSPOSED,
)
functions(
    "conv_transpose2d",
    [
        S(x(2, 4, 3, 4), x(4, 3, 2, 3), x(3)),
        S(x(2, 4, 3, 4), x(4, 1, 3, 3), x(4), stride=2, padding=1, output_padding=(1, 0), groups=4),
        S(x(2, 4, 3, 4), x(4, 3, 1, 1)),
        S(x(0, 4, 3, 4), x(4, 3, 2, 3)),
    ],
    **TRANSPOSED,
)
functions("conv_transpose3d", [S(x(2, 2, 3, 2, 3), x(2, 3, 2, 3, 2), x(3), stride=(1, 2, 2))], **TRANSPOSED)
rows(
    "conv_tbc",
    [S(x(5, 2, 3), x(2, 3, 4), x(4), 1), S(x(5, 2, 3), x(3, 3, 2), x(2))],
    kinds=NUMBER,
    forms="f",
    tol=8,
)
rows("bilinear", [S(x(2, 3), x(2, 4), x(5, 3, 4), x(5)), S(x(3), x(4), x(5, 3, 4))], kinds=NUMBER, forms="f",
     tol=8, composite=True)  # fmt: skip

# -------------------------------------------------------------------------------- means of windows
functions(
    "avg_pool1d",
    [S(x(2, 3, 9), 2), S(x(3, 9), 3, 2, 1, True, False), S(x(2, 3, 8), (3,), padding=1), S(x(0, 3, 9), 2)],
    kinds="lhgf",
)
IMAGES = x(2, 3, 7, 6)
functions(
    "avg_pool2d",
    [
        S(IMAGES, 2),
        S(IMAGES, (3, 2), (2, 1), (1, 0)),
        S(IMAGES, 3, 2, 1, True, False),
        S(IMAGES, 3, 2, 1, True),
        S(x(3, 7, 6), 2, divisor_override=3),
        S(x(0, 3, 7, 6), 2),
    ],
    kinds="lhgf",
    forms="fo",
)
functions(
    "avg_pool3d",
    [
        S(x(2, 2, 4, 5, 6), 2),
        S(x(2, 4, 5, 6), 3, 2, 1, True, False),
        S(x(2, 2, 4, 5, 6), 2, divisor_override=-3),
    ],
    kinds="lf",
    forms="fo",
)
functions("adaptive_avg_pool1d", [S(x(2, 3, 7), 3), S(x(3, 7), 1), S(x(2, 3, 4), 6), S(x(0, 3, 7), 2)])
functions("adaptive_avg_pool2d", [S(IMAGES, 3), S(IMAGES, (None, 2)), S(x(3, 7, 6), 1), S(x(0, 3, 7, 6), 2)])
functions("adaptive_avg_pool3d", [S(x(2, 2, 4, 5, 6), (2, 3, None)), S(x(2, 4, 5, 6), 1)])
NORM = {"kinds": "blhgf", "composite": True, "tol": 8}
functions("lp_pool1d", [S(x(2, 3, 9, low=0.5), 2, 3), S(x(2, 3, 9, low=0.5), 3.5, 2, 1)], **NORM)
functions("lp_pool2d", [S(x(2, 3, 5, 6, low=0.5), 2, 3), S(distinct(2, 3, 5, 6), inf, 2)], **NORM)
functions("lp_pool3d", [S(x(2, 2, 4, 5, 4, low=0.5), 1.5, 2)], **{**NORM, "kinds": "buif"})

# ---------------------------------------------------------------------- largest elements of windows
LARGEST = [[1.0, 1.0, nan, 2.0], [nan, inf, -inf, 0.0], [3.0, 3.0, 3.0, 3.0]]
functions(
    "max_pool1d",
    [
        S(distinct(2, 3, 9), 2),
        S(distinct(3, 9), 3, 2, 1, 2, True),
        S(distinct(2, 3, 9), 3, 1, return_indices=True),
        P(these(LARGEST), 2, 1),
    ],
)
functions(
    "max_pool2d",
    [
        S(distinct(2, 3, 7, 6), 2),
        S(distinct(2, 3, 7, 6), (3, 2), (2, 1), (1, 0), return_indices=True),
        S(distinct(3, 7, 6), 3, 2, 1, 2, True),
        S(distinct(0, 3, 7, 6), 2),
        P(these([LARGEST]), 2, 1),
    ],
    kinds="uihgf",
)
functions(
    "max_pool3d",
    [S(distinct(2, 2, 4, 5, 6), 2), S(distinct(2, 4, 5, 6), 3, 2, 1, 1, True, return_indices=True)],
    kinds="uihgf",
)
functions("max_pool1d_with_indices", [S(distinct(2, 3, 9), 2)], kinds="uihgf")
functions("max_pool2d_with_indices", [S(distinct(2, 3, 7, 6), 2)], kinds="uihgf")
functions("max_pool3d_with_indices", [S(distinct(2, 2, 4, 5, 6), 2)], kinds="uihgf")
functions(
    "adaptive_max_pool1d adaptive_max_pool1d_with_indices", [S(distinct(2, 3, 7), 3), S(distinct(3, 7), 7)]
)
functions("adaptive_max_pool2d", [S(distinct(2, 3, 7, 6), (3, None)), S(distinct(3, 7, 6), 2, True)])
functions("adaptive_max_pool3d", [S(distinct(2, 2, 4, 5, 6), 2), S(distinct(2, 4, 5, 6), (1, 2, 3), True)])
functions("adaptive_max_pool2d_with_indices", [S(distinct(2, 3, 7, 6), 3)])
functions("adaptive_max_pool3d_with_indices", [S(distinct(2, 2, 4, 5, 6), 2)])
DRAWN = {"output_size": 3, "_random_samples": In((2, 3, 2), 0.0, 1.0, grad=False)}
DRAWN3 = {"output_size": 3, "_random_samples": In((2, 2, 3), 0.0, 1.0, grad=False)}
functions(
    "fractional_max_pool2d fractional_max_pool2d_with_indices",
    [S(distinct(2, 3, 8, 7), 2, **DRAWN), S(distinct(2, 3, 8, 7), (2, 3), **DRAWN)],
)
functions(
    "fractional_max_pool3d fractional_max_pool3d_with_indices",
    [S(distinct(2, 2, 8, 7, 6), 2, **DRAWN3)],
)


def places(*rows, shape):
    """Indices of different places for each channel."""
    return these([[list(rows)] * shape[1]] * shape[0], "int64")


functions(
    "max_unpool1d",
    [
        S(x(2, 3, 3), places(1, 2, 5, shape=(2, 3)), 2),
        S(x(2, 3, 3), places(0, 2, 6, shape=(2, 3)), 2, output_size=[7]),
    ],
)
functions("max_unpool2d", [S(x(2, 3, 2, 2), places([1, 6], [8, 15], shape=(2, 3)), 2)])
functions(
    "max_unpool3d",
    [S(x(2, 3, 1, 2, 2), places([[1, 6], [8, 31]], shape=(2, 3)), 2)],
)

# ------------------------------------------------------------------- windows as columns, and borders
COLUMNS = {"kinds": "bhgfc"}
functions(
    "unfold",
    [
        S(x(2, 3, 5, 6), 2),
        S(x(3, 5, 6), (3, 2), dilation=(1, 2), padding=(1, 0), stride=(2, 1)),
        S(x(0, 3, 5, 6), 2),
    ],
    **COLUMNS,
)
functions(
    "fold",
    [
        S(x(2, 8, 12), (4, 5), 2),
        S(x(6, 12), (5, 6), (3, 2), dilation=(1, 2), padding=(1, 0), stride=(2, 1)),
    ],
    **COLUMNS,
)
functions(
    "pad",
    [
        S(x(2, 3, 4), (1, 2)),
        S(x(2, 3, 4), (1, 2, -1, 0), "constant", 1.5),
        S(x(3, 4), (2, 1), mode="circular"),
        S(x(2, 3, 4, 5), (2, 1, 0, -1), mode="circular"),
        S(x(2, 3, 4, 5, 2), (1, 1, 2, 0, 3, 1), mode="circular"),
    ],
    kinds=ALL,
)
functions(
    "pad",
    [
        S(x(3, 4), (2, 1), mode="reflect"),
        S(x(2, 3, 4), (-1, 3), mode="replicate"),
        S(x(2, 3, 4, 5), (2, 4, 0, 3), mode="reflect"),
        S(x(2, 3, 4, 5), (2, -1, 1, 6), mode="replicate"),
        S(x(2, 2, 3, 4, 3), (1, 2, 3, 0, 1, 2), mode="reflect"),
        S(x(2, 2, 3, 4, 3), (1, 2, 3, 0, 1, 5), mode="replicate"),
        S(x(0, 3, 4), (1, 1), mode="reflect"),
    ],
    kinds="uihgfc",
)

# ---------------------------------------------------------------------------------- other sizes
LINES, VOLUMES = x(2, 3, 5), x(2, 2, 3, 4, 3)
for mode in ("nearest", "nearest-exact"):
    functions(
        "interpolate",
        [
            S(IMAGES, 5, mode=mode),
            S(IMAGES, scale_factor=1.7, mode=mode),
            S(IMAGES, scale_factor=(0.6, 2), mode=mode, recompute_scale_factor=True),
            S(LINES, 8, mode=mode),
            S(VOLUMES, (4, 2, 3), mode=mode),
        ],
        kinds="uhgf",
    )
functions(
    "interpolate",
    [
        S(LINES, 8, mode="linear"),
        S(LINES, scale_factor=0.7, mode="linear"),
        S(LINES, 8, mode="linear", align_corners=True),
        S(LINES, 1, mode="linear", align_corners=True),
        S(VOLUMES, (4, 2, 3), mode="trilinear"),
        S(VOLUMES, scale_factor=1.6, mode="trilinear", align_corners=True),
        S(LINES, 3, mode="area"),
        S(IMAGES, scale_factor=0.6, mode="area"),
        S(VOLUMES, 2, mode="area"),
    ],
    tol=4,
)
for mode in ("bilinear", "bicubic"):
    functions(
        "interpolate",
        [
            S(IMAGES, scale_factor=1.7, mode=mode),
            S(IMAGES, (9, 4), mode=mode),
            S(IMAGES, scale_factor=1.7, mode=mode, recompute_scale_factor=True),
            S(IMAGES, (9, 4), mode=mode, align_corners=True),
            S(IMAGES, (9, 4), mode=mode, antialias=True),
            S(IMAGES, (3, 2), mode=mode, antialias=True, align_corners=True),
            S(x(0, 3, 5, 6), 3, mode=mode),
        ],
        kinds="uhgf",
        tol=8,
    )
functions("interpolate", [S(IMAGES, (4, 3), mode="lanczos", antialias=True)], kinds="uf", tol=8)

# ------------------------------------------------------------------------- places in images, channels
GRID, GRID3 = x(2, 4, 3, 2, low=-1.3, high=1.3), x(2, 2, 3, 2, 3, low=-1.3, high=1.3)
IMAGE, VOLUME = x(2, 3, 5, 6), x(2, 2, 3, 4, 5)
# The half precisions are compared at these places only: PyTorch rounds coordinates to them.
EXACT = these([[[[0.25, -0.5]]], [[[0.0, 0.75]]]])
EXACT3 = these([[[[[0.25, -0.5, 0.0]]]], [[[[0.0, 0.75, -0.25]]]]])
COORDINATES = {"kinds": FLOATS, "tol": 16}
functions(
    "grid_sample",
    [P(x(2, 3, 4, 8), EXACT, align_corners=False)]
    + [
        S(IMAGE, GRID, mode, padding, corners)
        for mode in ("bilinear", "bicubic", "nearest")
        for padding in ("zeros", "border", "reflection")
        for corners in (False, True)
    ]
    + [
        S(VOLUME, GRID3, mode, padding, corners)
        for mode in ("bilinear", "nearest")
        for padding in ("zeros", "border", "reflection")
        for corners in (False, True)
    ],
    **COORDINATES,
)
rows("grid_sampler grid_sampler_2d", [P(x(2, 3, 4, 8), EXACT, 0, 0, False)], forms="f", **COORDINATES)
rows("grid_sampler_3d", [P(x(2, 3, 4, 8, 4), EXACT3, 0, 1, False)], forms="f", **COORDINATES)
functions(
    "affine_grid",
    [
        S(x(2, 2, 3), (2, 3, 4, 5), False),
        S(x(2, 2, 3), (2, 3, 4, 5), True),
        S(x(2, 3, 4), (2, 3, 4, 5, 2), False),
        S(x(2, 2, 3), (2, 3, 1, 5), False),
    ],
    tol=4,
)
rows("pixel_shuffle", [S(x(2, 8, 3, 2), 2), S(x(9, 3, 2), 3), S(x(2, 3, 4, 3, 2), 1)], forms="f", kinds=ALL)
rows("pixel_unshuffle", [S(x(2, 2, 4, 6), 2), S(x(2, 6, 3), 3)], forms="f", kinds=ALL)
rows("channel_shuffle", [S(x(2, 6, 3), 2), S(x(2, 6, 3, 2), 3)], forms="f", kinds=ALL)
