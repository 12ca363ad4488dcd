"""Fourier transforms, windows, finite differences."""
