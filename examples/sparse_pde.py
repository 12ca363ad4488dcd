"""Optimal control of a semilinear PDE by Newton's method with a sparse Hessian.

On the unit square, -Laplace(u) + u^3 = q: find the source q that brings the state u near a given picture
at a small cost, min |u - wanted|^2 / 2 + cost |q|^2 / 2. With multipliers p of the equation at each point of
the grid, the solution is a stationary point of the Lagrangian L(u, q, p). Its Hessian, of 3 n^2 unknowns,
is found from some ten products whatever n is, and SciPy's sparse LU solves for the Newton step. The program
fails unless the gradient of L falls below 1e-10.

    pip install .[examples]
    python examples/sparse_pde.py [--plot sparse_pde.png]
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from scipy.sparse.linalg import splu
from tqdm import tqdm

import pullback as torch

SIZE, COST, STEPS = 80, 1e-6, 15


def picture() -> torch.Tensor:
    """The wanted state: a ring."""
    grid = torch.linspace(0, 1, SIZE + 2, dtype=torch.float64)[1:-1]
    x, y = grid.unsqueeze(1), grid.unsqueeze(0)
    radius = ((x - 0.5) ** 2 + (y - 0.5) ** 2).sqrt()
    return 2 * torch.exp(-(((radius - 0.28) / 0.08) ** 2))


def residual(u: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """-Laplace(u) + u^3 - q by five points, u = 0 on the boundary; times the area of a cell."""
    whole = torch.zeros(SIZE + 2, SIZE + 2, dtype=torch.float64)
    whole[1:-1, 1:-1] = u
    around = whole[2:, 1:-1] + whole[:-2, 1:-1] + whole[1:-1, 2:] + whole[1:-1, :-2]
    return 4 * u - around + (u**3 - q) / (SIZE + 1) ** 2


def lagrangian(z: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The cost and the equation with its multipliers, of (u, q, p)."""
    u, q, p = z
    area = 1 / (SIZE + 1) ** 2
    cost = ((u - wanted) ** 2).sum() * area / 2 + COST * (q**2).sum() * area / 2
    return cost + (p * residual(u, q)).sum()


def plot(path: str, z: torch.Tensor, wanted: torch.Tensor, hessian: object, norms: list[float]) -> None:
    """Save a picture: what was wanted, what was reached, by which source; the Hessian; convergence."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 5, figsize=(17, 3.2), layout="constrained")
    for spot, image, name in zip(axes, (wanted, z[0], z[1]), ("wanted", "state", "source"), strict=False):
        figure.colorbar(spot.imshow(image.numpy()), ax=spot)
        spot.set_title(name)
    axes[3].spy(hessian, markersize=0.1)
    axes[3].set_title("Hessian")
    axes[4].semilogy(norms, "o-")
    axes[4].set(xlabel="step", ylabel="gradient norm")
    figure.savefig(path)


def main() -> int:
    """Solve, tell."""
    parser = argparse.ArgumentParser(description="Control a semilinear PDE.")
    parser.add_argument("--plot", metavar="FILE", help="save a picture of the solution")
    options = parser.parse_args()
    wanted = picture()
    z = torch.zeros(3, SIZE, SIZE, dtype=torch.float64)

    def function(z: torch.Tensor) -> torch.Tensor:
        return lagrangian(z, wanted)

    # The pattern where nothing vanishes by chance; it holds at every z.
    start = time.perf_counter()
    pattern = torch.func.hessian_sparsity(function, torch.ones_like(z))
    print(f"{z.numel()} unknowns, {pattern.nnz} entries, pattern in {time.perf_counter() - start:.2f} s")
    norms: list[float] = []
    with tqdm(range(STEPS), desc="Newton") as bar:
        for _ in bar:
            slope = torch.func.grad(function)(z)
            norms.append(slope.abs().max().item())
            bar.set_postfix(gradient=f"{norms[-1]:.1e}")
            if norms[-1] < 1e-12:
                break
            hessian = torch.sparse_hessian(function, z, sparsity=pattern)
            step = splu(hessian.tocsc()).solve(slope.numpy().ravel())
            z = z - torch.from_numpy(np.ascontiguousarray(step)).reshape(z.shape)
    print(f"gradient {norms[-1]:.1e} after {len(norms) - 1} steps")
    print(f"distance from what was wanted: {(z[0] - wanted).square().mean().sqrt().item():.3f}")
    if options.plot:
        plot(options.plot, z, wanted, hessian, norms)
    return 0 if norms[-1] < 1e-10 else 1


if __name__ == "__main__":
    sys.exit(main())
