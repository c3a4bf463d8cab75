"""Experiments, from runs on disk to tables with intervals and plots; `python -m benchmarks list` names them."""
