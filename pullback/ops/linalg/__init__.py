"""Linear algebra: decompositions, solvers and functions of matrices.

The gradients are those of the literature, for complex matrices as well as real ones; each rule has its
formula. The sources that several files name:

- Giles 2008: "An extended collection of matrix derivative results for forward and reverse mode algorithmic
  differentiation", Oxford University, NA-08/01. Products, inverses, determinants, eigenvalues, Cholesky, SVD.
- Seeger et al. 2017: "Auto-differentiating linear algebra", arXiv:1710.08717. Cholesky, LQ, eigh, SVD.
- Boeddeker et al. 2017: "On the computation of complex-valued gradients with application to statistically
  optimum beamforming", arXiv:1701.00392. The same for complex matrices, and eigenvectors.
- Wan and Zhang 2019: "Automatic differentiation for complex valued SVD", arXiv:1909.02659.
"""
