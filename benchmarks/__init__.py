"""Experiments: cells on disk, tables with intervals, and pictures; `python -m benchmarks list`."""
