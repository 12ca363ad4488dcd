"""`vmap`: every op of the op table under it equals its loop; its options, its errors, its refusals."""

import warnings

import numpy as np
import pytest
from library import ON_TORCH, torch
from sample_rows import ROWS
from samples import Bound, In, differentiable, flat, numbers, resolve

# Rows whose results depend on more than the values of a sample, or have no fixed shape.
UNBATCHED = {
    "nonzero argwhere masked_select unique unique_consecutive": "the shape depends on the numbers",
    "where": "with one argument, as nonzero",
    "Tensor.numpy Tensor.tolist Tensor.item": "no single value",
    "empty_like Tensor.new_empty Tensor.new_empty_strided": "not set",
}
SIZE = 3


def leaves_of(call):
    """The descriptions of tensors among a call's arguments."""
    found = []

    def walk(x):
        if isinstance(x, In):
            if x not in found:
                found.append(x)
        elif isinstance(x, (list, tuple)):
            for one in x:
                walk(one)

    walk([call.args, list(call.kwargs.values())])
    return found


class Batch:
    """A call on SIZE samples: the tensors described by `chosen` differ from sample to sample."""

    def __init__(self, row, call, dtype, chosen, dim):
        self.row, self.call, self.dtype, self.chosen, self.dim = row, call, dtype, chosen, dim
        self.bounds = [Bound(torch, row, call, dtype) for _ in range(SIZE)]
        for i, bound in enumerate(self.bounds):
            for spec, tensor in bound.made.items():
                if spec in chosen:
                    self.vary(bound, spec, tensor, i)
        self.made = self.bounds[0].made
        self.specs = [spec for spec in self.made if spec in chosen]
        self.dims = [dim if dim >= 0 else -1 for _ in self.specs]

    def vary(self, bound, spec, tensor, i):
        """Makes sample `i` of a tensor: rolled, so that it keeps its range and stays distinct."""
        data = np.roll(numbers(torch, tensor).reshape(-1), i).reshape(tuple(tensor.shape))
        made = torch.from_numpy(np.ascontiguousarray(data))
        bound.made[spec] = made

    def call_with(self, values):
        """The op on the tensors in `values`, by description."""
        bound = self.bounds[0]
        fill = dict(self.made) | dict(zip(self.specs, values, strict=True))

        def put(x):
            if isinstance(x, In):
                return fill[x]
            if isinstance(x, (list, tuple)):
                return type(x)(put(one) for one in x)
            return bound.make(x)

        args = [put(x) for x in self.call.args]
        kwargs = {name: put(x) for name, x in self.call.kwargs.items()}
        return resolve(torch, self.row.name)(*args, **kwargs)

    def looped(self):
        """The results sample by sample, stacked."""
        rows = []
        for bound in self.bounds:
            rows.append(flat(self.call_with([bound.made[spec] for spec in self.specs])))
        return [torch.stack(column) for column in zip(*rows, strict=True)]

    def mapped(self):
        """The results of one call."""
        given = [torch.stack([b.made[spec] for b in self.bounds], self.dim) for spec in self.specs]
        return flat(torch.vmap(lambda *values: self.call_with(list(values)), in_dims=tuple(self.dims))(*given))


def same(expected, found, rtol):
    """Do these tensors agree in shape, dtype and value?"""
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return False
    return np.allclose(numbers(torch, expected), numbers(torch, found), rtol=rtol, atol=rtol, equal_nan=True)


def check_row(row):
    wrong = []
    kind = next(k for k in "fcib" if k in row.kinds) if set(row.kinds) & set("fcib") else None
    if kind is None:
        return
    dtype = {"f": "float64", "c": "complex128", "i": "int64", "b": "bool"}[kind]
    for place, call in enumerate(row.calls):
        specs = leaves_of(call)
        if not call.smooth or not specs or not row.values:
            continue
        for chosen, dim in [(specs, 0), (specs, -1), *([([s], 0) for s in specs] if len(specs) > 1 else [])]:
            try:
                batch = Batch(row, call, dtype, chosen, dim)
                expected = batch.looped()
            except (RuntimeError, IndexError, TypeError, ValueError):
                continue  # rolled indices may not fit
            names = [i for i, s in enumerate(specs) if s in chosen]
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found = batch.mapped()
            except Exception as error:  # noqa: BLE001
                wrong.append(f"call {place} inputs {names} dim {dim}: {type(error).__name__}: {error}")
                continue
            for e, f in zip(expected, found, strict=True):
                if not same(e, f, 1e-10):
                    wrong.append(f"call {place} inputs {names} dim {dim}: expected {e}, got {f}")
    return wrong


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_equals_its_loop(row):
    if any(row.name in names.split() for names in UNBATCHED):
        return
    wrong = check_row(row)
    assert not wrong, "\n" + "\n".join(wrong)
