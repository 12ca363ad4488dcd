"""Rows of torch.fft and of the short-time transforms. samples.py tells how to read them."""

from samples import ALL, Dtype, In, P, S, pos, table, x

ROWS, rows = table()
ANY = "buifc"  # no half precisions
REAL = "buif"


def fft(names, calls, **options):
    """Rows of functions in torch.fft. On real numbers PyTorch shows nodes of its own making."""
    options = {"kinds": ANY, "forms": "fo", "composite": True, "tol": 8, **options}
    rows(" ".join(f"fft.{name}" for name in names.split()), calls, **options)


ONE = [
    S(x(3, 4)),
    S(x(5)),
    S(x(3, 4), 6),
    S(x(3, 4), 3, 0),
    S(x(3, 4), 5, 0, "ortho"),
    S(x(3, 4), norm="forward"),
    S(x(4), 1),
]
fft("fft ifft irfft hfft", ONE)
fft("rfft ihfft", ONE, kinds=REAL)
TWO = [
    S(x(3, 4)),
    S(x(2, 3, 4), (4, 3)),
    S(x(2, 3, 4), None, (0, 2), "ortho"),
    S(x(3, 4), (-1, 5), norm="forward"),
]
MANY = [S(x(2, 3, 4)), S(x(2, 3, 4), (4, 3)), S(x(2, 3, 4), None, (2, 0), "ortho"), S(x(5), norm="forward")]
fft("fft2 ifft2 irfft2 hfft2", TWO)
fft("rfft2 ihfft2", TWO, kinds=REAL)
fft("fftn ifftn irfftn hfftn", MANY)
fft("rfftn ihfftn", MANY, kinds=REAL)
fft("fftshift ifftshift", [S(x(3, 4)), S(x(3, 4), 1), S(x(5), (0,))], kinds=ALL, forms="f")
fft(
    "fftfreq rfftfreq",
    [P(5), P(4, 0.5), P(6, dtype=Dtype("float64")), P(1)],
    forms="fo",
    derived=False,
)

SIGNAL, WINDOW = x(2, 16), pos(4)
rows(
    "stft",
    [
        S(SIGNAL, 4, window=WINDOW, return_complex=True),
        S(x(12), 4, 2, window=WINDOW, center=False, return_complex=True),
        S(SIGNAL, 6, 3, 4, WINDOW, normalized=True, return_complex=True),
        S(SIGNAL, 4, window=WINDOW, pad_mode="constant", onesided=False, return_complex=True),
        S(SIGNAL, 4, window=WINDOW, pad_mode="circular", return_complex=True),
    ],
    kinds="fc",
    forms="fm",
    composite=True,
    tol=8,
)
FRAMES = In((2, 3, 7), dtype=None)
rows(
    "istft",
    [
        S(FRAMES, 4, window=In((4,), 0.5, 3.0, dtype="float64", grad=False)),
        S(FRAMES, 4, 2, window=In((4,), 0.5, 3.0, dtype="float64", grad=False), normalized=True),
        S(FRAMES, 4, window=In((4,), 0.5, 3.0, dtype="float64", grad=False), length=5),
    ],
    kinds="c",
    forms="fm",
    composite=True,
    tol=8,
)
