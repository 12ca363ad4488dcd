"""Pullback."""
