"""The calls of `benchmarks/ops.py`: every public op, on matrices of n by n and what goes with them.

A line of `CALLS` has arguments, a colon, and the ops that are called with them. The arguments are Python;
the names in them are what `inputs` makes. A call is timed forward, and with its backward pass if the result
requires a gradient.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

CALLS = """
x: abs neg square exp exp2 sigmoid sin cos sinh cosh tanh tan atan asinh sinc expm1 ceil floor trunc round
x: frac
x: deg2rad rad2deg sign sgn positive signbit isnan isinf isfinite isreal isposinf isneginf conj
x: conj_physical angle
x: real resolve_conj resolve_neg relu nan_to_num logical_not erf erfc i0 special.i1 special.i0e special.i1e
x: frexp
x: Tensor.real clone detach Tensor.contiguous Tensor.float Tensor.double Tensor.half Tensor.bfloat16
x: Tensor.int
x: Tensor.long Tensor.short Tensor.char Tensor.byte Tensor.bool Tensor.cfloat Tensor.cdouble Tensor.cpu
x: Tensor.is_contiguous zeros_like ones_like empty_like ravel flatten squeeze t adjoint Tensor.T Tensor.H
x: Tensor.mT
x: Tensor.mH fliplr flipud rot90 diagonal diag tril triu linalg.diagonal atleast_1d atleast_2d atleast_3d
x: aminmax sum mean prod max min any all argmax argmin std var norm amax amin median nanmedian nansum
x: nanmean
x: count_nonzero nonzero argwhere trace sort argsort msort unique unique_consecutive mode diff trapezoid
x: trapz
x: cumulative_trapezoid nn.functional.silu nn.functional.mish nn.functional.softplus
x: nn.functional.logsigmoid
x: nn.functional.gelu nn.functional.elu nn.functional.celu nn.functional.selu nn.functional.tanhshrink
x: nn.functional.softsign nn.functional.sigmoid nn.functional.tanh nn.functional.glu nn.functional.relu6
x: nn.functional.relu nn.functional.hardtanh nn.functional.hardsigmoid nn.functional.hardswish
x: nn.functional.leaky_relu nn.functional.softshrink hardshrink nn.functional.rrelu nn.functional.normalize
x: is_conj is_neg numel is_floating_point is_complex is_signed is_tensor is_storage get_device is_inference
x: is_distributed typename alias_copy diagonal_copy squeeze_copy t_copy detach_copy linalg.matrix_norm
x: linalg.vector_norm linalg.norm cov corrcoef gradient norm_except_dim special.entr special.erfcx
x: special.ndtr
x: special.log_ndtr special.bessel_j0 special.bessel_j1 special.modified_bessel_i0
x: special.modified_bessel_i1
x: special.spherical_bessel_j0 special.airy_ai fft.fft fft.ifft fft.irfft fft.hfft fft.rfft fft.ihfft
x: fft.fft2
x: fft.ifft2 fft.irfft2 fft.hfft2 fft.rfft2 fft.ihfft2 fft.fftn fft.ifftn fft.irfftn fft.hfftn fft.rfftn
x: fft.ihfftn
x: fft.fftshift fft.ifftshift unbind rand_like randn_like
u: asin acos atanh erfinv
p: acosh log log2 log10 sqrt rsqrt reciprocal log1p lgamma digamma special.bessel_y0 special.bessel_y1
p: special.modified_bessel_k0 special.modified_bessel_k1 special.scaled_modified_bessel_k0
p: special.scaled_modified_bessel_k1
h: logit special.ndtri bernoulli
c: imag Tensor.imag view_as_real view_as_real_copy
x.view(n, -1, 2): view_as_complex view_as_complex_copy
k: bitwise_not
1, p: polygamma
p, 1: Tensor.polygamma mvlgamma
p, 3: special.chebyshev_polynomial_t special.chebyshev_polynomial_u special.chebyshev_polynomial_v
p, 3: special.chebyshev_polynomial_w special.shifted_chebyshev_polynomial_t
p, 3: special.shifted_chebyshev_polynomial_u special.shifted_chebyshev_polynomial_v
p, 3: special.shifted_chebyshev_polynomial_w special.hermite_polynomial_h special.hermite_polynomial_he
p, 3: special.laguerre_polynomial_l special.legendre_polynomial_p
x.clone(): abs_ ceil_ fix_ floor_ relu_ round_ trunc_ arcsinh_ arctan_ asinh_ atan_ cos_ cosh_ exp_ exp2_
x.clone(): expm1_
x.clone(): sigmoid_ sin_ sinc_ sinh_ tan_ tanh_ deg2rad_ erf_ erfc_ frac_ i0_ rad2deg_ conj_physical_
x.clone(): nan_to_num_
x.clone(): neg_ negative_ square_ Tensor.zero_ Tensor.uniform_ Tensor.normal_
u.clone(): arccos_ arcsin_ arctanh_ acos_ asin_ atanh_
p.clone(): arccosh_ acosh_ log_ log10_ log1p_ log2_ reciprocal_ rsqrt_ sqrt_
h.clone(): logit_
x.clone(), 0.5, 0.75: clip_
x, y: add sub mul rsub atan2 hypot maximum minimum fmax fmin logaddexp logaddexp2 copysign nextafter
x, y: heaviside eq ne
x, y: lt le gt ge isclose allclose equal logical_and logical_or logical_xor is_same_size result_type matmul
x, y: mm dist
x, y: masked.logaddexp complex polar Tensor.view_as Tensor.reshape_as Tensor.expand_as Tensor.type_as
x, y: nn.functional.mse_loss nn.functional.l1_loss nn.functional.smooth_l1_loss nn.functional.huber_loss
x, y: nn.functional.soft_margin_loss nn.functional.poisson_nll_loss
x, y: nn.functional.multilabel_soft_margin_loss
x, y: nn.functional.hinge_embedding_loss pairwise_distance nn.functional.pairwise_distance cosine_similarity
x, y: nn.functional.cosine_similarity linalg.vecdot nn.functional.linear isin broadcast_tensors
x, h: nn.functional.binary_cross_entropy_with_logits nn.functional.kl_div
h, h: nn.functional.binary_cross_entropy
x, p: div true_divide floor_divide remainder fmod xlogy special.xlog1py
p, p: pow float_power special.zeta special.gammainc special.gammaincc igamma igammac
x, 1.5: add mul fill full_like
x, 2: pow
x, v: add
x, v[:, None]: mul
x, k: ldexp
k, k: bitwise_and bitwise_or bitwise_xor gcd lcm
k, 2: bitwise_left_shift bitwise_right_shift
x, y, p: addcmul addcdiv nn.functional.gaussian_nll_loss nn.functional.triplet_margin_loss
x, y, p: nn.functional.triplet_margin_with_distance_loss
x, y, 0.3: lerp
x, y, signs: nn.functional.margin_ranking_loss
m, x, y: where
x, m, y: Tensor.where masked_scatter
x, -0.5, 0.5: clamp clip
x, 0.5: clamp_min clamp_max quantile nanquantile
x, 0.25, 2.0: nn.functional.threshold
x, v[:1]: prelu
x, 0: sum amax max argmax std norm logsumexp any softmax cumsum cummax sort
x, 1: sum nansum mean nanmean prod max min amax amin argmax argmin var std var_mean std_mean logsumexp all
x, 1: any
x, 1: count_nonzero median nanmedian softmax log_softmax nn.functional.softmin nn.functional.softmax
x, 1: nn.functional.log_softmax _safe_softmax cumsum cumprod cummax cummin logcumsumexp unbind_copy
x, 1, mask=m: masked.sum masked.prod masked.amax masked.amin masked.mean masked.var masked.std
x, 1, mask=m: masked.softmax
x, 1, mask=m: masked.log_softmax masked.softmin masked.cumsum masked.cumprod masked.argmax masked.argmin
x, 1, mask=m: masked.logsumexp masked.median
x, 2.0, 1, mask=m: masked.norm masked.normalize
x, 1: frobenius_norm
x, 2, 0, 1.0: renorm
x, 4: topk kthvalue
x[0], 16: histc histogram
x[:, :2], [4, 4]: histogramdd
x, (-1,): reshape view_copy
x, -1: Tensor.view
x, 1, (2, -1): unflatten
x, 0: unsqueeze unsqueeze_copy
x, 0, 1: transpose swapaxes swapdims movedim moveaxis select select_copy transpose_copy
x, (1, 0): permute permute_copy
x[:1], n, n: Tensor.expand
x[:1], (n, n): broadcast_to expand_copy
x, 2, 1: Tensor.repeat
x, (2,): tile
x, 2: repeat_interleave split split_copy chunk unsafe_chunk unsafe_split tensor_split hsplit vsplit
x, (n - 3, 3): split_with_sizes unsafe_split_with_sizes split_with_sizes_copy
x.view(n, -1, 2), 2: dsplit
x, 1: roll
x, (0,): flip
x, 1, 3, 2: Tensor.unfold unfold_copy
v: diag_embed diagflat diag
v[:8]: combinations
x, (1, 2): constant_pad_nd nn.functional.pad
x, (2, 1), mode='reflect': nn.functional.pad
x, 1, 1, n - 2: narrow narrow_copy
x, (n // 2, n), (2 * n, 1): as_strided as_strided_copy
x, (n,): Tensor.sum_to_size
x, dt.float64: Tensor.to
x, dt.float32: Tensor.to
x, (n, n): Tensor.new_zeros Tensor.new_ones Tensor.new_empty
x, (n, n), 1: Tensor.new_full
x, (n, n), (1, n): Tensor.new_empty_strided
x, [1.0, 2.0, 3.0]: Tensor.new_tensor
x, 1, 0, n, 2: slice_copy
x[1:], 0: squeeze
[x, y]: cat concat concatenate stack hstack vstack dstack column_stack row_stack
[x, y], 1: cat
[x, y], 0, 2: _chunk_cat
v, w, indexing='ij': meshgrid
v, w: cartesian_prod dot vdot inner outer ger
s, v[:4], s: block_diag
x, 1, i: gather
x, i, 1: take_along_dim
x, i: take
x, j, v: put
x, 1, i, y: scatter scatter_add
x, 1, i, y, 'amax': scatter_reduce
x, 0, j: index_select
x, 0, j, y: index_add index_copy
x, 0, j, 1.5: index_fill
x, (j,), v, True: index_put
x, 0, j, y, 'amax': index_reduce
x, m, 1.5: masked_fill
x, m: masked_select
x, v, 0, 1: select_scatter
x, x[:, ::2].contiguous(), 1, 0, n, 2: slice_scatter
x, v: diagonal_scatter
x, x[::2].contiguous(), (n // 2, n), (2 * n, 1): as_strided_scatter
v.sort()[0], x: searchsorted
x, v.sort()[0]: bucketize
j: bincount nn.functional.one_hot
j, (n, n): unravel_index
v[:1].sum(): is_nonzero
(n, 1), (1, n): broadcast_shapes
v, m[0], [j], v: _unsafe_masked_index_put_accumulate
v, m[0], [j], 7: _unsafe_masked_index
x, size=4: nonzero_static
x, w: mv
b, d: bmm
x, x, y: addmm
v, x, w: addmv
x, v, w: addr
e, b, d: baddbmm
e[0], b, d: addbmm
x, y, v: nn.functional.linear
v, x, w: nn.functional.linear
'ij,kj->ik', x, y: einsum
x, y, ([1], [0]): tensordot
s, s, s: chain_matmul
[s, s, s]: linalg.multi_dot
s, 3: matrix_power
x[:8, :8], y[:8, :8]: kron
x[:, :3], y[:, :3]: cross linalg.cross
s: linalg.inv inverse linalg.inv_ex linalg.pinv linalg.det det linalg.slogdet slogdet logdet
s: linalg.lu_factor
s: linalg.lu_factor_ex linalg.lu linalg.qr linalg.svd svd linalg.eig linalg.eigvals linalg.svdvals geqrf lu
s: qr
s: nuclear_norm linalg.cond linalg.matrix_rank pinverse
spd: linalg.cholesky cholesky linalg.cholesky_ex linalg.eigh linalg.eigvalsh linalg.ldl_factor
spd: linalg.ldl_factor_ex
low: cholesky_inverse
s / n: linalg.matrix_exp matrix_exp
s, v[:size]: linalg.solve
s, s: linalg.solve_ex linalg.lstsq
s, low: cholesky_solve triangular_solve
low, s, upper=False: linalg.solve_triangular
s.reshape(size, 2, -1), ind=1: linalg.tensorinv
s.reshape(size, 2, -1), v[:size]: linalg.tensorsolve
v[:8]: linalg.vander vander
s, v[:size]: linalg.householder_product orgqr
s, v[:size], s: ormqr
lu, pivots, s: linalg.lu_solve
s, lu, pivots: lu_solve
lu, pivots: lu_unpack
x.reshape(-1), 16, window=hann, return_complex=True: stft
spectrum, 16, window=hann: istft
n: fft.fftfreq fft.rfftfreq bartlett_window blackman_window hamming_window hann_window kaiser_window
n: signal.windows.bartlett signal.windows.blackman signal.windows.cosine signal.windows.exponential
n: signal.windows.gaussian signal.windows.general_hamming signal.windows.hamming signal.windows.hann
n: signal.windows.nuttall signal.windows.kaiser eye randperm
n, a=[0.5, 0.3, 0.2]: signal.windows.general_cosine
n, n: zeros ones empty rand randn tril_indices triu_indices
(n, n), 1.5: full
(n, n), (1, n): empty_strided
n * n: arange
1, n: range
0, 1, n: linspace logspace
0, 10, (n, n): randint
0.0, 1.0, (n, n): normal
h, 4: multinomial
2.5: scalar_tensor tensor as_tensor asarray
[1.0, 2.0, 3.0]: tensor as_tensor
x, j: nn.functional.nll_loss nn.functional.cross_entropy nn.functional.multi_margin_loss
x, j, label_smoothing=0.3, ignore_index=2: nn.functional.cross_entropy
x, h: nn.functional.cross_entropy
x, y, j: nn.functional.linear_cross_entropy
x, i: nn.functional.multilabel_margin_loss
x, y, signs[0].long(): nn.functional.cosine_embedding_loss
x, 0.3: nn.functional.dropout
x, (n,): nn.functional.layer_norm nn.functional.rms_norm
x, (n,), v, w: nn.functional.layer_norm
x, None, None, v, w, True: nn.functional.batch_norm
img, 4: nn.functional.group_norm
img: nn.functional.instance_norm
j, x: nn.functional.embedding
x, j: embedding
i, x: nn.functional.embedding_bag
q, q, q: nn.functional.scaled_dot_product_attention
q, q, q, is_causal=True: nn.functional.scaled_dot_product_attention
steps, steps, steps, 16, 4, *projections: nn.functional.multi_head_attention_forward
steps, h0, weights1, True, 1, 0.0, False, False, False: rnn_tanh rnn_relu
steps, h0, weights3, True, 1, 0.0, False, False, False: gru
steps, (h0, h0), weights4, True, 1, 0.0, False, False, False: lstm
steps[0], h0[0], *weights1: rnn_tanh_cell rnn_relu_cell
steps[0], h0[0], *weights3: gru_cell
steps[0], (h0[0], h0[0]), *weights4: lstm_cell
steps, lengths, False: _pack_padded_sequence
packed, packed_sizes, False, 0.0, -1: _pad_packed_sequence
x, 'sum', lengths=parts: segment_reduce
x, 'mean', lengths=parts: segment_reduce
img[:, :, 0], kernel[:, :, 0], padding=1: nn.functional.conv1d
img, kernel, padding=1: nn.functional.conv2d
img, kernel[:, :1], padding=1, groups=8: nn.functional.conv2d
vol, kernel3, padding=1: nn.functional.conv3d
img[:, :, 0], kernel[:, :, 0], stride=2: nn.functional.conv_transpose1d
img, kernel, stride=2: nn.functional.conv_transpose2d
vol, kernel3, stride=2: nn.functional.conv_transpose3d
img[:, :, 0].permute(2, 0, 1).contiguous(), kernel[:, :, 0].permute(2, 1, 0).contiguous(), v[:8], 1: conv_tbc
x, y, x[:4, :, None].expand(4, n, n).contiguous(), v[:4]: bilinear
img[:, :, 0], 2: nn.functional.avg_pool1d nn.functional.max_pool1d nn.functional.max_pool1d_with_indices
img[:, :, 0], 2: nn.functional.adaptive_avg_pool1d nn.functional.adaptive_max_pool1d
img[:, :, 0], 2: nn.functional.adaptive_max_pool1d_with_indices
img, 2: nn.functional.avg_pool2d nn.functional.max_pool2d nn.functional.max_pool2d_with_indices
img, 2: nn.functional.adaptive_avg_pool2d nn.functional.adaptive_max_pool2d
img, 2: nn.functional.adaptive_max_pool2d_with_indices nn.functional.unfold
vol, 2: nn.functional.avg_pool3d nn.functional.max_pool3d nn.functional.max_pool3d_with_indices
vol, 2: nn.functional.adaptive_avg_pool3d nn.functional.adaptive_max_pool3d
vol, 2: nn.functional.adaptive_max_pool3d_with_indices
img[:, :, 0], 2, 3: nn.functional.lp_pool1d
img, 2, 3: nn.functional.lp_pool2d
vol, 2, 2: nn.functional.lp_pool3d
img, 2, output_size=3, _random_samples=samples2: nn.functional.fractional_max_pool2d
img, 2, output_size=3, _random_samples=samples2: nn.functional.fractional_max_pool2d_with_indices
vol, 2, output_size=2, _random_samples=samples3: nn.functional.fractional_max_pool3d
vol, 2, output_size=2, _random_samples=samples3: nn.functional.fractional_max_pool3d_with_indices
pooled1, where1, 2: nn.functional.max_unpool1d
pooled2, where2, 2: nn.functional.max_unpool2d
pooled3, where3, 2: nn.functional.max_unpool3d
columns, (side, side), 2: nn.functional.fold
img, scale_factor=2, mode='nearest': nn.functional.interpolate
img, scale_factor=2, mode='bilinear': nn.functional.interpolate
img, scale_factor=2, mode='bicubic': nn.functional.interpolate
img, scale_factor=0.5, mode='bilinear', antialias=True: nn.functional.interpolate
img, grid, align_corners=False: nn.functional.grid_sample
img, grid, 0, 0, False: grid_sampler grid_sampler_2d
vol, grid3, 0, 0, False: grid_sampler_3d
theta, (2, 8, side, side), False: nn.functional.affine_grid
img, 2: pixel_shuffle pixel_unshuffle channel_shuffle
s, s: cdist
s: pdist nn.functional.pdist
"""


def inputs(torch: Any, n: int) -> dict[str, Any]:
    """What the calls are made of: tensors for matrices of n by n, decompositions at most 128."""
    torch.manual_seed(0)
    rand, size, side = torch.rand, min(n, 128), max(n // 4, 6)
    x, y = 2 * rand(n, n) - 1, 2 * rand(n, n) - 1
    s = rand(size, size) + size * torch.eye(size)
    spd = s @ s.t()
    img, vol = torch.randn(2, 8, side, side), torch.randn(2, 4, 4, side, side)
    length = max(n // 8, 4)
    steps, pool = torch.randn(length, 2, 16), torch.nn.functional
    lengths = torch.tensor([length, length // 2])
    packed, packed_sizes = torch._pack_padded_sequence(steps, lengths, False)
    lu, pivots = torch.linalg.lu_factor(s)
    hann = torch.hann_window(16)
    names = {"n": n, "size": size, "side": side, "x": x, "y": y, "c": torch.complex(x, y), "dt": torch}
    names |= {"p": rand(n, n) + 0.5, "h": 0.1 + 0.8 * rand(n, n), "u": 1.8 * rand(n, n) - 0.9}
    names |= {"v": rand(n) + 0.1, "w": rand(n) + 0.1, "m": x > 0.2, "k": torch.randint(1, 9, (n, n))}
    names |= {"i": torch.randint(0, n, (n, n)), "j": torch.randint(0, n, (n,)), "signs": x.sign()}
    names |= {
        "b": torch.randn(8, length, 16),
        "d": torch.randn(8, 16, length),
        "q": torch.randn(2, 4, length, 16),
    }
    names |= {"e": torch.randn(8, length, length), "s": s, "spd": spd, "low": torch.linalg.cholesky(spd)}
    names |= {"lu": lu, "pivots": pivots, "hann": hann, "steps": steps, "h0": torch.zeros(1, 2, 16)}
    names |= {"spectrum": torch.stft(x.reshape(-1), 16, window=hann, return_complex=True)}
    for gates in (1, 3, 4):
        shapes = (16 * gates, 16), (16 * gates, 16), (16 * gates,), (16 * gates,)
        names[f"weights{gates}"] = [torch.randn(shape) / 4 for shape in shapes]
    into, out = (torch.randn(48, 16), rand(48)), (torch.randn(16, 16), rand(16))
    names["projections"] = [*into, None, None, False, 0.0, *out]
    names |= {"lengths": lengths, "packed": packed, "packed_sizes": packed_sizes}
    names |= {"parts": torch.full((4,), n // 4), "img": img, "kernel": torch.randn(8, 8, 3, 3)}
    names |= {"vol": vol, "kernel3": torch.randn(4, 4, 3, 3, 3), "columns": pool.unfold(img, 2)}
    names |= {"samples2": rand(2, 8, 2), "samples3": rand(2, 4, 3), "theta": torch.randn(2, 2, 3)}
    names |= {"grid": 2 * rand(2, side, side, 2) - 1, "grid3": 2 * rand(2, 4, side, side, 3) - 1}
    for place, image in enumerate((img[:, :, 0], img, vol), 1):
        pooled = getattr(pool, f"max_pool{place}d")(image, 2, return_indices=True)
        names[f"pooled{place}"], names[f"where{place}"] = pooled
    return names


def rows() -> Iterator[tuple[str, str, str]]:
    """Every call: its name in the table, the op's name, and the arguments."""
    seen: set[str] = set()
    for line in CALLS.strip().splitlines():
        arguments, _, names = line.rpartition(": ")
        for name in names.split():
            label = f"{name}({arguments})"
            if label not in seen:
                seen.add(label)
                yield label, name, arguments


def function_of(torch: Any, name: str) -> Callable[..., Any]:
    """The function of a row; an attribute such as `Tensor.T` is read."""
    found: Any = operator.attrgetter(name)(torch)
    last = name.rpartition(".")[2]
    return found if callable(found) else lambda tensor: getattr(tensor, last)
