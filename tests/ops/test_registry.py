"""Every row of the op table, by itself: derivatives, forms, layouts, dtypes, the meta device.

A derivative is compared with a difference along one random direction, in float64 and complex128,
and so is the derivative of the derivative. Nothing here needs PyTorch.
"""

import functools

import numpy as np
import pytest
from library import ON_TORCH, pullback_only, torch
from sample_rows import ROWS
from samples import (
    ALL,
    DTYPES,
    Bound,
    In,
    cotangents,
    differentiable,
    flat,
    numbers,
    pytorch_cannot,
    resolve,
    short,
)

# PyTorch's own warnings belong to test_messages.py; NumPy's would be errors of Pullback.
pytestmark = pytest.mark.filterwarnings("ignore" if ON_TORCH else "ignore::UserWarning")
STEP = 1e-6

# Public functions of tensors that have no row, and why.
NO_ROW = {
    "rand randn randint randperm rand_like randn_like randint_like": "drawn: see SEEDED",
    "bernoulli multinomial normal poisson binomial": "drawn: see SEEDED",
    "bernoulli_ normal_ uniform_ exponential_ geometric_ cauchy_ log_normal_ random_": "as above",
    "manual_seed seed initial_seed get_rng_state set_rng_state fork_rng": "test_random_engine.py",
    "Generator default_generator": "test_random_engine.py",
    "_is_all_true _is_any_true": "test_arguments.py of distributions",
    "_standard_gamma _standard_gamma_grad _sample_dirichlet _dirichlet_grad": "tests/distributions",
    "from_numpy frombuffer from_file from_dlpack to_dlpack numpy tolist item": "test_interop.py",
    "type": "test_tensor_api.py",
    "cuda": "an error: there is no such device",
    "dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout": "test_nn_functional.py",
    "feature_alpha_dropout native_dropout gumbel_softmax": "the same",
    "native_layer_norm native_group_norm native_batch_norm local_response_norm ctc_loss": "the same",
    "_native_batch_norm_legit dropout_ alpha_dropout_ feature_dropout_ feature_alpha_dropout_": "the same",
    "embedding_bag": "its bookkeeping for other devices; the row is of nn.functional's, which is it",
    "_check _check_with _check_index _check_value _check_type _check_not_implemented _check_is_size "
    "_check_tensor_all _assert _assert_async sym_int sym_float sym_not sym_max sym_min sym_ite sym_sum "
    "sym_sqrt": "test_checks.py",
    "svd_lowrank pca_lowrank lobpcg _lu_with_info ldl_solve _input_mask _output_mask hash_tensor "
    "empty_permuted": "test_linalg.py, test_checks.py, test_sequences.py",
    "convolution affine_grid_generator upsample upsample_nearest upsample_bilinear": "test_spatial.py",
    "sparse_coo_tensor sparse_csr_tensor sparse_csc_tensor sparse_bsr_tensor sparse_bsc_tensor "
    "sparse_compressed_tensor _sparse_coo_tensor_unsafe _sparse_csr_tensor_unsafe "
    "_sparse_csc_tensor_unsafe _sparse_bsr_tensor_unsafe _sparse_bsc_tensor_unsafe "
    "_sparse_compressed_tensor_unsafe _sparse_sum _sparse_softmax _sparse_log_softmax _sparse_mm "
    "_sparse_addmm _sparse_sparse_matmul _spdiags _spsolve sampled_addmm hspmm hsmm smm sspaddmm "
    "saddmm spmm dsmm": "tests/sparse",
    "native_channel_shuffle _upsample_bilinear2d_aa": "test_spatial.py",
    "_scaled_mm": "test_eight_bits.py",
    "_shape_as_tensor": "test_private_names.py",
    "layer_norm group_norm batch_norm instance_norm kl_div poisson_nll_loss triplet_margin_loss "
    "binary_cross_entropy_with_logits cosine_embedding_loss hinge_embedding_loss "
    "margin_ranking_loss": "they have a row in nn.functional, and other parameters in torch",
}
WITHOUT_ROW = {name for names in NO_ROW for name in names.split()}


def each_row(test):
    """Runs a test on each row. On PyTorch, what it says it lacks is skipped in its own words."""

    @pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
    @functools.wraps(test)
    def run(row):
        try:
            test(row)
        except (RuntimeError, NotImplementedError) as error:
            if ON_TORCH and pytorch_cannot(str(error)):
                pytest.skip(str(error))
            raise

    return run


def told(wrong):
    """Fails with all that is wrong, a line each."""
    assert not wrong, "\n" + "\n".join(wrong)


@pullback_only("it keeps a list of what it offers")
def test_every_public_op_has_a_row():
    from pullback.core.op import SURFACE

    named = {
        ("torch" if "." not in row.name else row.name.rpartition(".")[0], short(row.name)) for row in ROWS
    }
    seen = {id(SURFACE.get(space, {}).get(name)) for space, name in named}
    missing = [
        f"{space}.{name}"
        for space, functions in SURFACE.items()
        for name, function in functions.items()
        if id(function) not in seen and name not in WITHOUT_ROW and not has_base(functions, name, seen)
        if not name.startswith("_foreach_") and not isinstance(function, type)  # test_foreach.py; exceptions
    ]
    told(sorted(missing))


def has_base(functions, name, seen):
    """Is `name` a form of a function that has a row: in place, or the method with its own messages?"""
    from pullback.core.op import SURFACE

    base = name.removesuffix("_")
    return any(id(space.get(base)) in seen for space in (functions, SURFACE["torch"]))


# ------------------------------------------------------------------------------- derivatives
def weighed(results, weights):
    """The real number whose gradient backward gives: the real part of <weights, results>."""
    pairs = zip(results, weights, strict=True)
    return sum(float(np.sum(np.conj(numbers(torch, w)) * numbers(torch, r)).real) for r, w in pairs)


def along(gradients, direction):
    """The change that the gradients foretell for a step along the direction."""
    total = 0.0
    for g, u in zip(gradients, direction, strict=True):
        if g is not None:
            total += float(np.sum(np.conj(numbers(torch, g)) * np.broadcast_to(u, g.shape)).real)
    return total


class Probe:
    """One call in one dtype: its value and its gradient, each as a number, at any point."""

    def __init__(self, row, call, dtype):
        self.row, self.call, self.dtype = row, call, dtype
        bound = Bound(torch, row, call, dtype, grads="all")
        results = differentiable(torch, bound.run())
        self.active = bool(results)
        if not self.active:
            return
        self.point = bound.arrays
        self.weights = cotangents(torch, results, bound.rng)
        self.direction = [In(a.shape, -1.0, 1.0).draw(bound.rng, a.dtype.name) for a in self.point]
        grads = self.gradients(bound, create_graph=row.twice)
        self.first = along(grads, self.direction)
        found = [g for g in grads if g is not None]
        self.probes = [w.detach() for w in cotangents(torch, found, bound.rng)]
        self.second = None
        curved = [(g, p) for g, p in zip(found, self.probes, strict=True) if g.requires_grad]
        if row.twice and curved:
            outer, given = zip(*curved, strict=True)
            second = torch.autograd.grad(outer, bound.leaves, given, allow_unused=True)
            self.second = along(second, self.direction)

    def gradients(self, bound, create_graph=False):
        """The gradients of the weighed results at the bound point."""
        results = differentiable(torch, bound.run())
        return torch.autograd.grad(
            results, bound.leaves, self.weights, create_graph=create_graph, allow_unused=True
        )

    def at(self, step):
        """The call bound some way along the direction."""
        moved = [a + step * u for a, u in zip(self.point, self.direction, strict=True)]
        return Bound(torch, self.row, self.call, self.dtype, grads="all", replace=moved)

    def value(self, step):
        """The weighed results there."""
        return weighed(differentiable(torch, self.at(step).run()), self.weights)

    def slope(self, step):
        """The weighed gradients there."""
        found = [g for g in self.gradients(self.at(step)) if g is not None]
        return weighed(found, self.probes)

    def differences(self):
        """What the rules say against what differences say, where they disagree."""
        wrong = []
        for order, said, function in (
            ("first", self.first, self.value),
            ("second", self.second, self.slope),
        ):
            if said is None:
                continue
            seen = (function(STEP) - function(-STEP)) / (2 * STEP)
            if not np.isclose(said, seen, rtol=1e-5, atol=1e-6):
                wrong.append(f"{order} derivative: expected {seen}, got {said}")
        return wrong


@each_row
def test_derivative(row):
    if ON_TORCH and row.better:
        pytest.skip(row.better)
    wrong = []
    for place, call in enumerate(row.calls):
        for kind, dtype in (("f", "float64"), ("c", "complex128")):
            if kind in row.kinds and call.smooth and row.derived:
                probe = Probe(row, call, dtype)
                if probe.active:
                    wrong += [f"call {place} {dtype}: {text}" for text in probe.differences()]
    told(wrong)


# ------------------------------------------------------------------------------- forms
def gradients(bound, results):
    """The gradients of the results, with the same weights for the same call."""
    results = differentiable(torch, results)
    if not results:
        return []
    weights = cotangents(torch, results, np.random.default_rng(0))
    return torch.autograd.grad(results, bound.leaves, weights, allow_unused=True)


def alike(expected, found, rtol=1e-12):
    """Are these tensors, Nones or numbers equal, but for rounding?"""
    expected, found = flat(expected), flat(found)
    if len(expected) != len(found):
        return False
    for a, b in zip(expected, found, strict=True):
        if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
            a, b = numbers(torch, a), numbers(torch, b)
            if a.shape != b.shape or not np.allclose(a, b, rtol=rtol, atol=rtol, equal_nan=True):
                return False
        elif a is None or b is None:
            tensor = b if a is None else a
            if tensor is not None and numbers(torch, tensor).any():
                return False
        elif a != b:
            return False
    return True


def inplace_difference(row, call, dtype):
    """How the in-place form differs from the op, or None."""
    plain = Bound(torch, row, call, dtype, grads="all")
    result = plain.run()
    bound = Bound(torch, row, call, dtype, grads="all")
    target = bound.args[0].clone()
    before = numbers(torch, target).copy()
    method = getattr(target, short(row.name) + "_")
    complex_into_real = result.is_complex() and not target.is_complex()
    fits = tuple(result.shape) == tuple(target.shape) and not complex_into_real
    if not fits and not result._is_view():
        with pytest.raises(RuntimeError):
            method(*bound.args[1:], **bound.kwargs)
        return None if np.array_equal(before, numbers(torch, target), equal_nan=True) else "half-written"
    given = method(*bound.args[1:], **bound.kwargs)
    if given is not target:
        return "it does not return its tensor"
    if not alike(result, target):
        return f"expected {result}, got {target}"
    if row.derived and result.requires_grad:
        expected, found = gradients(plain, result), gradients(bound, target)
        return None if alike(expected, found) else f"gradients: expected {expected}, got {found}"
    return None


def is_tensor_call(call):
    """Is the first argument a tensor, and the call one that succeeds?"""
    return call.args and isinstance(call.args[0], In) and call.args[0].dtype is None


@each_row
def test_inplace(row):
    """`op_` gives what `op` gives, with the same gradients, or refuses and leaves all as it was."""
    wrong = []
    if "i" not in row.forms:
        return
    dtype = row.first_dtype(wide=True)
    for place, call in enumerate(row.calls):
        if is_tensor_call(call) and call.smooth:
            text = inplace_difference(row, call, dtype)
            wrong += [f"call {place}: {text}"] if text else []
    told(wrong)


@each_row
def test_out(row):
    """With `out`, the result lies there; an empty tensor is made large enough."""
    if "o" not in row.forms:
        return
    call = row.calls[0]
    result = Bound(torch, row, call, row.first_dtype()).run()
    made = [torch.empty(0, dtype=one.dtype) for one in flat(result)]
    out = tuple(made) if isinstance(result, tuple) else made[0]
    given = Bound(torch, row, call, row.first_dtype()).run(out=out)
    if given is not None or len(made) == 1:  # PyTorch gives nothing back where a list was written
        assert all(a is b for a, b in zip(flat(given), made, strict=True))
    if row.values:
        assert alike(result, out)
    else:
        assert [one.shape for one in flat(result)] == [one.shape for one in made]


# ------------------------------------------------------------------------------- layouts, dtypes
@each_row
def test_layout(row):
    """Other layouts give the same numbers and gradients, and no input is written to."""
    wrong, dtype = [], row.first_dtype(wide=True)
    for place, call in enumerate(row.calls):
        if not call.smooth:
            continue
        results = []
        for layout in ("", "transposed", "strided"):
            bound = Bound(torch, row, call, dtype, layout=layout, grads="all")
            before = [numbers(torch, tensor).copy() for tensor in bound.made.values()]
            try:
                result = bound.run()
            except RuntimeError:
                if layout and row.name in NEEDS_STRIDES:
                    continue
                raise
            results.append((layout, result, gradients(bound, result) if row.derived else []))
            after = [numbers(torch, tensor) for tensor in bound.made.values()]
            if not all(map(np.array_equal, before, after)):
                wrong.append(f"call {place} {layout}: an input was changed")
        for layout, result, grads in results[1:]:
            if row.values and not (
                row.name in READS_MEMORY
                or (alike(results[0][1], result, 1e-9) and alike(results[0][2], grads, 1e-9))
            ):
                wrong.append(f"call {place} {layout}: expected {results[0][1:]}, got {(result, grads)}")
    told(wrong)


NEEDS_STRIDES = {
    "Tensor.view",
    "Tensor.view_as",
    "view_as_complex",
    "view_as_complex_copy",
}  # not all layouts have the view
READS_MEMORY = {
    "as_strided",
    "as_strided_copy",
    "as_strided_scatter",
    "Tensor.is_contiguous",
}  # by definition


@each_row
def test_dtype(row):
    """The op takes the kinds of dtype that the row says, and refuses the others."""
    wrong = []
    if not any(isinstance(arg, In) for arg in flat(list(row.calls[0].args))):
        return
    for kind in ALL:
        for dtype in DTYPES[kind]:
            try:
                Bound(torch, row, row.calls[0], dtype).run()
            except (RuntimeError, TypeError, NotImplementedError, ValueError) as error:
                if row.takes(dtype):
                    wrong.append(f"{dtype} is refused: {type(error).__name__}: {error}")
            else:
                if not row.takes(dtype) and (row.name, kind) not in COMPLEX_HALF:
                    wrong.append(f"{dtype} is taken")
    told(wrong)


COMPLEX_HALF = (
    {("complex", "h"), ("view_as_complex", "h"), ("view_as_complex_copy", "h")} if ON_TORCH else set()
)


@each_row
def test_meta(row):
    """On the meta device an op gives shape, dtype and strides of its result, and no numbers."""
    if not row.meta:
        return
    wrong = []
    for place, call in enumerate(row.calls):
        if not call.smooth:
            continue
        host = flat(Bound(torch, row, call, row.first_dtype()).run())
        meta = flat(Bound(torch, row, call, row.first_dtype(), device="meta").run())
        made_of_tensors = any(isinstance(arg, In) for arg in flat(list(call.args)))
        for a, b in zip(host, meta, strict=True):
            if not isinstance(a, torch.Tensor) or not made_of_tensors:
                continue
            if (tuple(a.shape), a.dtype) != (tuple(b.shape), b.dtype) or b.device.type != "meta":
                wrong.append(f"call {place}: expected {a.shape} {a.dtype}, got {b!r}")
            elif not ON_TORCH and a.numel() and a.stride() != b.stride():
                wrong.append(f"call {place}: expected strides {a.stride()}, got {b.stride()}")
    told(wrong)


def test_rows_name_functions():
    for row in ROWS:
        assert callable(resolve(torch, row.name)), row.name
