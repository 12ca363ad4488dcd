"""Picking and writing by indices and masks; sorting, order statistics, histograms."""
