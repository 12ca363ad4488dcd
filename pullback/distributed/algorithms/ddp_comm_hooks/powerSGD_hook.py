"""PowerSGD: gradients of matrices are sent as products of two thin ones (T. Vogels, S. P. Karimireddy, M.
Jaggi, 2019).

One step of the power method for each matrix M, with Q from the step before: P is the average of M Q over the
ranks, made orthonormal; Q becomes the average of M^T P; the gradient is P Q^T. What it leaves out is added to
the next one.
"""

from __future__ import annotations

import math
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.distributed.algorithms.ddp_comm_hooks.default_hooks import averaged
from pullback.distributed.collectives import all_reduce
from pullback.distributed.groups import members
from pullback.distributed.reducer import GradBucket
from pullback.face.absent import getter
from pullback.futures import Future
from pullback.kernels.random.generators import Generator

__all__ = ["PowerSGDState", "batched_powerSGD_hook", "powerSGD_hook"]


class PowerSGDState:
    """What PowerSGD keeps from step to step, and how it is set.

    Gradients are averaged plainly in the first `start_powerSGD_iter` steps. Later a matrix (n, m) is
    compressed to `matrix_approximation_rank` where that makes it smaller by `min_compression_rate`.
    """

    def __init__(
        self,
        process_group: Any,
        matrix_approximation_rank: int = 1,
        start_powerSGD_iter: int = 1000,
        min_compression_rate: float = 2,
        use_error_feedback: bool = True,
        warm_start: bool = True,
        orthogonalization_epsilon: float = 0,
        random_seed: int = 0,
        compression_stats_logging_frequency: int = 10000,
        batch_tensors_with_same_shape: bool = False,
    ) -> None:
        if (use_error_feedback or warm_start) and start_powerSGD_iter <= 1:
            raise ValueError(
                "Expect `start_powerSGD_iter` > 1 if `use_error_feedback` or `warm_start` is enabled, "
                "because PowerSGD can only be applied after the first two iterations in DDP."
            )
        self.process_group = process_group
        self.matrix_approximation_rank = matrix_approximation_rank
        self.start_powerSGD_iter = start_powerSGD_iter
        self.min_compression_rate = min_compression_rate
        self.use_error_feedback = use_error_feedback
        self.warm_start = warm_start
        self.orthogonalization_epsilon = orthogonalization_epsilon
        self.batch_tensors_with_same_shape = batch_tensors_with_same_shape
        self.generator = Generator()
        self.generator.manual_seed(random_seed)
        self.error_dict: dict[int, Tensor] = {}
        self.p_memory_dict: dict[int, list[Tensor]] = {}
        self.q_memory_dict: dict[int, list[Tensor]] = {}
        self.iter = 0
        self.total_numel_before_compression = 0
        self.total_numel_after_compression = 0

    def maybe_increase_iter(self, bucket: GradBucket) -> None:
        """Counts a step when its last bucket comes."""
        if bucket.is_last():
            self.iter += 1

    def compression_stats(self) -> tuple[float, int, int]:
        """How much smaller the messages were: the rate, and how many numbers there were before and after."""
        before, after = self.total_numel_before_compression, self.total_numel_after_compression
        return (before / after if after else 0.0), before, after


def _orthonormal(matrix: Tensor, epsilon: float) -> None:
    """Makes the columns of a matrix orthonormal: Q of QR, or with an epsilon by Gram and Schmidt."""
    if epsilon == 0:
        matrix.copy_(ops.linalg_qr(matrix)[0])
        return
    for i in range(matrix.shape[1]):
        column = matrix[:, i : i + 1]
        column.div_(column.norm() + epsilon)
        if i + 1 < matrix.shape[1]:
            rest = matrix[:, i + 1 :]
            rest.sub_(column * (column * rest).sum(0))


def _mean(tensors: list[Tensor], state: PowerSGDState) -> None:
    """Averages tensors over the ranks, in one message."""
    group = members(state.process_group)
    assert group is not None
    flat = ops.cat([x.reshape(-1) for x in tensors])
    all_reduce(flat, group=group)
    flat.div_(group.size())
    for x, part in zip(tensors, flat.split([x.numel() for x in tensors]), strict=True):
        x.copy_(part.view(x.shape))


def _approximate(matrices: list[Tensor], index: int, state: PowerSGDState) -> list[Tensor]:
    """Averages of matrices over the ranks, of low rank."""
    kept = state.q_memory_dict.get(index)
    if kept is None or not state.warm_start:
        kept = []
        for m in matrices:
            rank = min(state.matrix_approximation_rank, *m.shape)
            kept.append(ops.randn(m.shape[1], rank, dtype=m.dtype, generator=state.generator))
        state.q_memory_dict[index] = kept
    for q in kept:
        _orthonormal(q, state.orthogonalization_epsilon)
    ps = [m @ q for m, q in zip(matrices, kept, strict=True)]
    _mean(ps, state)
    for p in ps:
        _orthonormal(p, state.orthogonalization_epsilon)
    state.p_memory_dict[index] = ps
    for m, p, q in zip(matrices, ps, kept, strict=True):
        q.copy_(m.t() @ p)
    _mean(kept, state)
    state.total_numel_after_compression += sum(x.numel() for x in (*ps, *kept))
    return [p @ q.t() for p, q in zip(ps, kept, strict=True)]


def _compressed(
    state: PowerSGDState, bucket: GradBucket, matrices: list[Tensor], rest: list[Tensor]
) -> Future[Any]:
    """Puts averages into the matrices, low ones, and into the rest of a bucket."""
    flat, index = bucket.buffer(), bucket.index()
    before = None
    if state.use_error_feedback:
        error = state.error_dict.get(index)
        if error is not None:
            flat.add_(error)
        before = flat.clone()
    state.total_numel_before_compression += flat.numel()
    state.total_numel_after_compression += sum(x.numel() for x in rest)
    if rest:
        _mean(rest, state)
    if matrices:
        for m, low in zip(matrices, _approximate(matrices, index, state), strict=True):
            m.copy_(low)
    if before is not None:
        error = ops.zeros_like(flat)
        starts = _places(flat, matrices)
        for start, m in zip(starts, matrices, strict=True):
            error[start : start + m.numel()] = before[start : start + m.numel()] - m.reshape(-1)
        state.error_dict[index] = error
    state.maybe_increase_iter(bucket)
    done: Future[Any] = Future()
    done.set_result(flat)
    return done


def _places(flat: Tensor, views: list[Tensor]) -> list[int]:
    return [(x.data_ptr() - flat.data_ptr()) // flat.element_size() for x in views]


def powerSGD_hook(state: PowerSGDState, bucket: GradBucket) -> Future[Any]:
    """Averages the gradients of matrices by PowerSGD, of vectors and of small matrices plainly."""
    if state.iter < state.start_powerSGD_iter:
        state.maybe_increase_iter(bucket)
        return averaged(state.process_group, bucket.buffer())
    matrices, rest = [], []
    for grad in bucket.gradients():
        matrix = grad.view(grad.shape[0], -1) if grad.dim() > 1 else None
        if matrix is not None and _worth(matrix, state):
            matrices.append(matrix)
        else:
            rest.append(grad)
    return _compressed(state, bucket, matrices, rest)


def _worth(matrix: Tensor, state: PowerSGDState) -> bool:
    """Whether two thin matrices are smaller by the rate."""
    n, m = matrix.shape
    return (n + m) * state.matrix_approximation_rank * state.min_compression_rate < n * m


def batched_powerSGD_hook(state: PowerSGDState, bucket: GradBucket) -> Future[Any]:
    """Averages a bucket by PowerSGD as one square matrix, filled up with zeros: cheaper, and coarser."""
    if state.iter < state.start_powerSGD_iter:
        state.maybe_increase_iter(bucket)
        return averaged(state.process_group, bucket.buffer())
    flat, index = bucket.buffer(), bucket.index()
    side = math.ceil(math.sqrt(flat.numel()))
    square = ops.zeros(side * side, dtype=flat.dtype)
    square[: flat.numel()] = flat
    if state.use_error_feedback and index in state.error_dict:
        square.add_(state.error_dict[index])
    state.total_numel_before_compression += flat.numel()
    (low,) = _approximate([square.view(side, side)], index, state)
    if state.use_error_feedback:
        state.error_dict[index] = square - low.reshape(-1)
    flat.copy_(low.reshape(-1)[: flat.numel()])
    state.maybe_increase_iter(bucket)
    done: Future[Any] = Future()
    done.set_result(flat)
    return done


__getattr__ = getter(__name__)
