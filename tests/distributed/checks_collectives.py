"""Each collective against what NumPy makes of the numbers of all ranks, which every rank can make itself."""

import datetime
import warnings

import numpy as np
import pytest
from library import torch

dist = torch.distributed
OPS = {
    "SUM": np.add.reduce,
    "PRODUCT": np.multiply.reduce,
    "MIN": np.minimum.reduce,
    "MAX": np.maximum.reduce,
    "BAND": np.bitwise_and.reduce,
    "BOR": np.bitwise_or.reduce,
    "BXOR": np.bitwise_xor.reduce,
}
WHOLE = [
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.uint16,
    torch.uint32,
    torch.uint64,
]
FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
COMPLEX = [torch.complex64, torch.complex128]
EVERY = [*WHOLE, *FLOATS, *COMPLEX, torch.bool, torch.float8_e4m3fn]
SHAPES = [(), (0,), (1,), (7,), (3, 5), (2, 0, 3), (1001,)]


def numbers(rank, shape, dtype, seed=0):
    """A rank's numbers: small whole ones, which all dtypes hold."""
    a = np.random.default_rng(100 * seed + rank).integers(0, 4, shape)
    return torch.tensor(a.astype(np.float64 if not dtype.is_complex else np.complex128)).to(dtype)


def same(found, expected):
    assert found.dtype == expected.dtype and found.shape == expected.shape
    assert torch.equal(
        found.double() if not found.is_complex() else found,
        expected.double() if not found.is_complex() else expected,
    )


def reduced(op, parts):
    """What NumPy reduces the tensors of all ranks to."""
    dtype = parts[0].dtype
    if dtype == torch.bool:
        op = {"SUM": "BOR", "PRODUCT": "BAND", "MIN": "BAND", "MAX": "BOR"}.get(op, op)
    elif dtype in FLOATS:
        return torch.tensor(OPS[op](np.stack([p.double().numpy() for p in parts]))).to(dtype)
    return torch.tensor(OPS[op](np.stack([p.numpy() for p in parts])).astype(parts[0].numpy().dtype))


def check_all_reduce(rank, size, folder):
    for dtype in [*WHOLE, *FLOATS, *COMPLEX, torch.bool]:
        for op in OPS:
            if (dtype in COMPLEX and op != "SUM") or (dtype in FLOATS and op[0] == "B"):
                continue
            for shape in SHAPES:
                x = numbers(rank, shape, dtype)
                version = x._version
                assert dist.all_reduce(x, getattr(dist.ReduceOp, op)) is None
                assert x._version > version
                same(x, reduced(op, [numbers(r, shape, dtype) for r in range(size)]))


def check_large_arrays_go_in_a_ring(rank, size, folder):
    count = 300_001  # numbers whose sums are rounded: all ranks have the same bits
    for dtype in (torch.float32, torch.bfloat16, torch.int64, torch.complex128):
        parts = [
            torch.randn(count, generator=torch.Generator().manual_seed(r)).mul(9).to(dtype)
            for r in range(size)
        ]
        for op in ("SUM", "MAX") if not dtype.is_complex else ("SUM",):
            xs = [parts[rank].clone(), parts[rank].flip(0)]  # two at once
            works = [dist.all_reduce(x, getattr(dist.ReduceOp, op), async_op=True) for x in xs]
            for work in works:
                work.wait()
            torch.testing.assert_close(xs[0], reduced(op, parts))
            torch.testing.assert_close(xs[1], reduced(op, [p.flip(0) for p in parts]))
            first = xs[0].clone()
            dist.broadcast(first, 0)
            assert torch.equal(first, xs[0])


def check_averages(rank, size, folder):
    for dtype in (torch.float32, torch.bfloat16, torch.int32, torch.complex64):
        x = numbers(rank, (5,), dtype)
        dist.all_reduce(x, dist.ReduceOp.AVG)
        total = sum(numbers(r, (5,), dtype).to(torch.complex128) for r in range(size)) / size
        expected = total.real if not dtype.is_complex else total
        if dtype == torch.int32:
            expected = expected.trunc()
        torch.testing.assert_close(x, expected.to(dtype))


def check_half_precision_is_reduced_in_single(rank, size, folder):
    x = torch.tensor([1.0 if rank == 0 else 2.0**-9], dtype=torch.bfloat16)
    dist.all_reduce(x)
    assert x.item() == torch.tensor(1 + (size - 1) * 2.0**-9).bfloat16().item()


def check_layouts(rank, size, folder):
    base = numbers(rank, (4, 6), torch.float32)
    total = sum(numbers(r, (4, 6), torch.float32) for r in range(size))
    for view in (lambda t: t.t(), lambda t: t[::2, 1::2], lambda t: t[1], lambda t: t.flip(0)):
        x = base.clone()
        part = view(x)
        dist.all_reduce(part)
        same(part, view(total))
    x = base.clone()
    dist.all_reduce(x[:, ::3])
    same(x[:, ::3], total[:, ::3])
    same(x[:, 1], base[:, 1])
    z = torch.complex(base, base)
    dist.broadcast(z.conj(), size - 1)
    last = numbers(size - 1, (4, 6), torch.float32)
    same(z, torch.complex(last, last))


def check_moves(rank, size, folder):
    for dtype in EVERY:
        for shape in SHAPES:
            parts = [numbers(r, shape, dtype) for r in range(size)]
            for root in range(size):
                x = parts[rank].clone()
                dist.broadcast(x, root)
                same(x, parts[root])
                out = [torch.empty_like(x) for _ in range(size)] if rank == root else None
                dist.gather(parts[rank], out, root)
                for found, expected in zip(out or parts, parts, strict=True):
                    same(found, expected)
                x = torch.empty_like(parts[0])
                dist.scatter(x, parts if rank == root else None, root)
                same(x, parts[rank])
            out = [torch.empty_like(parts[0]) for _ in range(size)]
            dist.all_gather(out, parts[rank])
            for found, expected in zip(out, parts, strict=True):
                same(found, expected)
            whole = torch.empty((size, *shape), dtype=dtype)
            dist.all_gather_into_tensor(whole, parts[rank])
            same(whole, torch.stack(parts) if dtype != torch.float8_e4m3fn else whole)
            sent = [numbers(rank, shape, dtype, seed=to) for to in range(size)]
            dist.all_to_all(out, sent)
            for r in range(size):
                same(out[r], numbers(r, shape, dtype, seed=rank))


def check_reduce(rank, size, folder):
    for dtype in (torch.float32, torch.float16, torch.int64):
        for root in range(size):
            x = numbers(rank, (7,), dtype)
            dist.reduce(x, root, dist.ReduceOp.SUM)
            parts = [numbers(r, (7,), dtype) for r in range(size)]
            same(x, reduced("SUM", parts) if rank == root else parts[rank])


def check_reduce_scatter(rank, size, folder):
    for dtype in (torch.float32, torch.bfloat16, torch.int32, torch.complex64):
        for shape in [(3,), (0,), (2, 5)]:
            lists = [[numbers(r, shape, dtype, seed=to) for to in range(size)] for r in range(size)]
            expected = reduced("SUM", [lists[r][rank] for r in range(size)])
            x = torch.empty(shape, dtype=dtype)
            dist.reduce_scatter(x, lists[rank])
            same(x, expected)
            x = torch.empty(shape, dtype=dtype)
            dist.reduce_scatter_tensor(x, torch.cat(lists[rank]))
            same(x, expected)


def check_all_to_all_of_uneven_parts(rank, size, folder):
    # rank r sends r + to + 1 rows to each
    sent = [rank + to + 1 for to in range(size)]
    x = torch.cat([torch.full((n, 2), float(10 * rank + to)) for to, n in enumerate(sent)])
    counts = [r + rank + 1 for r in range(size)]
    out = torch.empty(sum(counts), 2)
    dist.all_to_all_single(out, x, counts, sent)
    same(out, torch.cat([torch.full((n, 2), float(10 * r + rank)) for r, n in enumerate(counts)]))
    out = torch.empty(2 * size)
    dist.all_to_all_single(out, torch.arange(2.0 * size) + 100 * rank)
    same(out, torch.cat([torch.arange(2.0) + 2 * rank + 100 * r for r in range(size)]))
    with pytest.raises(RuntimeError, match="Split sizes doesn't match total dim 0 size"):
        dist.all_to_all_single(torch.empty(size + 1), torch.empty(size + 1), [1] * size, [1] * size)


def check_coalesced(rank, size, folder):
    xs = [numbers(rank, shape, torch.float32) for shape in [(3,), (2, 2), (0,)]]
    dist.all_reduce_coalesced(xs)
    for x, shape in zip(xs, [(3,), (2, 2), (0,)], strict=True):
        same(x, reduced("SUM", [numbers(r, shape, torch.float32) for r in range(size)]))


def check_async(rank, size, folder):
    xs = [torch.full((1000 * (i + 1),), float(rank + i)) for i in range(5)]
    works = [dist.all_reduce(x, async_op=True) for x in xs]
    for i in reversed(range(5)):
        assert works[i].wait() is True and works[i].is_completed() and works[i].is_success()
        assert xs[i].eq(sum(r + i for r in range(size))).all()
    future = dist.all_reduce(torch.ones(3), async_op=True).get_future().then(lambda f: f.value()[0] / size)
    assert future.wait().tolist() == [1.0] * 3
    assert dist.barrier(async_op=True).wait()


def check_messages(rank, size, folder):
    if size == 1:
        return
    to, source = (rank + 1) % size, (rank - 1) % size
    out, x = torch.empty(4, dtype=torch.bfloat16), torch.full((4,), float(rank)).bfloat16()
    works = dist.batch_isend_irecv([dist.P2POp(dist.isend, x, to), dist.P2POp(dist.irecv, out, source)])
    for work in works:
        work.wait()
    assert out.tolist() == [source] * 4
    if rank == 0:
        # a tag of its own: what ranks send next must not be taken for it
        got = [torch.zeros(2) for _ in range(size - 1)]
        senders = sorted(dist.recv(x, tag=3) for x in got)
        assert senders == list(range(1, size)) and sorted(x[0].item() for x in got) == senders
    else:
        dist.send(torch.full((2,), float(rank)), 0, tag=3)
    if rank == 0:  # tags keep messages apart
        a, b = torch.zeros(1), torch.zeros(1)
        dist.recv(b, 1, tag=2)
        dist.recv(a, 1, tag=1)
        assert (a.item(), b.item()) == (1, 2)
        big = torch.zeros(3, 300000)
        dist.recv(big.t(), 1)
        assert big.eq(torch.arange(900000.0).reshape(300000, 3).t()).all()
    elif rank == 1:
        works = [dist.isend(torch.ones(1) * tag, 0, tag=tag) for tag in (1, 2)]
        for work in works:
            work.wait()
        dist.send(torch.arange(900000.0).reshape(300000, 3), 0)
    with pytest.raises(ValueError, match="Invalid destination rank"):
        dist.isend(torch.ones(1), dst=rank)


def check_messages_that_do_not_fit(rank, size, folder):
    if rank == 0 and size > 1:
        for count in (3, 300000):
            with pytest.raises(RuntimeError, match=r"recv failed: .*must fit .*: \(2,\), torch.float32"):
                dist.recv(torch.zeros(2), 1, tag=count)
        x = torch.zeros(3)
        assert dist.recv(x, 1) == 1 and x.tolist() == [1, 1, 1]  # the next one comes all the same
    elif rank == 1:
        for count in (3, 300000):
            dist.send(torch.ones(count), 0, tag=count)
        dist.send(torch.ones(3), 0)


def check_objects(rank, size, folder):
    out = [None] * size
    dist.all_gather_object(out, {"rank": rank, "long": "x" * (10 * rank)})
    assert [o["rank"] for o in out] == list(range(size)) and len(out[-1]["long"]) == 10 * (size - 1)
    objects = [1, "two", torch.tensor(3)] if rank == size - 1 else [None] * 3
    dist.broadcast_object_list(objects, src=size - 1)
    assert objects[:2] == [1, "two"] and objects[2].item() == 3
    out = [None] * size if rank == 0 else None
    dist.gather_object(rank**2, out, dst=0)
    assert rank or out == [r**2 for r in range(size)]
    mine = [None]
    dist.scatter_object_list(mine, [f"for {r}" for r in range(size)] if rank == 0 else None, src=0)
    assert mine == [f"for {rank}"]
    if size > 1 and rank == 0:
        dist.send_object_list(["a", 1], 1)
    elif rank == 1:
        got = [None, None]
        assert dist.recv_object_list(got, 0) == 0 and got == ["a", 1]


def check_groups(rank, size, folder):
    odd = dist.new_group(range(1, size, 2)) if size > 1 else None
    first = dist.new_group([0])
    assert dist.get_rank(first) == (0 if rank == 0 else -1) and dist.get_world_size() == size
    if rank % 2 and size > 1:
        x = torch.ones(3)
        dist.all_reduce(x, group=odd)
        assert x.tolist() == [size // 2] * 3
        assert dist.get_process_group_ranks(odd) == list(range(1, size, 2))
        assert dist.get_global_rank(odd, 0) == 1 and dist.get_group_rank(odd, 1) == 0
        dist.broadcast(x.fill_(rank), src=1, group=odd)
        assert x[0] == 1
        with pytest.raises(ValueError, match="Global rank 0 is not part of group"):
            dist.broadcast(x, src=0, group=odd)
    elif size > 1:
        assert odd == dist.GroupMember.NON_GROUP_MEMBER
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert dist.all_reduce(torch.ones(1), group=odd) is None
        assert "does not belong to the given group" in str(caught[0].message)
    own, groups = dist.new_subgroups(1)
    assert len(groups) == size and dist.get_world_size(own) == 1
    back = dist.new_group(list(reversed(range(size))), sort_ranks=False)
    assert dist.get_rank(back) == size - 1 - rank
    few = dist.new_group([size - 1], use_local_synchronization=True)
    assert dist.get_rank(few) == (0 if rank == size - 1 else -1)
    with pytest.raises(ValueError, match="world_size set by init_process_group"):
        dist.new_group([size])


def check_refusals(rank, size, folder):
    x = torch.ones(2)
    with pytest.raises(ValueError, match="initialize the default process group twice"):
        dist.init_process_group("gloo")
    with pytest.raises(TypeError, match=r"Expected parameter `tensor` of type torch.Tensor"):
        dist.all_reduce([x])
    with pytest.raises(TypeError, match=r"Expected parameter `tensor_list` of type List\[torch.Tensor\]"):
        dist.all_gather(x, x)
    with pytest.raises(RuntimeError, match=rf"expected length {size}, got {size + 1}"):
        dist.all_gather([x] * (size + 1), x)
    with pytest.raises(ValueError, match="different dtypes"):
        dist.all_gather([x.int()] * size, x)
    with pytest.raises(RuntimeError, match=r"invalid tensor size at index 0 \(expected \(2\), got \(3\)\)"):
        dist.all_gather([torch.ones(3)] * size, x)
    with pytest.raises(RuntimeError, match=r"list size, must be world size"):
        dist.reduce_scatter(x, [x] * (size + 1))
    with pytest.raises(ValueError, match=r"does not support .* on complex tensors"):
        dist.all_reduce(torch.ones(1, dtype=torch.complex64), dist.ReduceOp.MAX)
    with pytest.raises(RuntimeError, match=r"Cannot use ReduceOp.BAND"):
        dist.all_reduce(x, dist.ReduceOp.BAND)
    root = "source" if rank == 0 else "non-source"
    with pytest.raises(ValueError, match=f"specified on {root} rank"):
        dist.scatter(x, None if rank == 0 else [x], src=0)
    with pytest.raises(ValueError, match="Can't specify both group_src and src"):
        dist.broadcast(x, 0, group_src=0)


def check_barriers(rank, size, folder):
    dist.monitored_barrier()
    dist.monitored_barrier(timeout=datetime.timedelta(seconds=20), wait_all_ranks=True)
    dist.barrier()


def check_sparse(rank, size, folder):
    x = torch.sparse_coo_tensor([[0, rank]], [1.0, 2.0], (size + 1,))
    dist.all_reduce(x)
    expected = torch.zeros(size + 1)
    for r in range(size):
        expected[0] += 1
        expected[r] += 2
    same(x.to_dense(), expected)
