"""Ufuncs whose results have another type than their inputs: see mixed.h."""

import numpy as np

complex: np.ufunc
isposinf: np.ufunc
isneginf: np.ufunc
ldexp: np.ufunc
