"""Runs rows in worker processes and writes what they found: short on the screen, whole in docs/coverage.md."""
