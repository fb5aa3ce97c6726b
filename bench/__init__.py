"""Benchmarks, each with ratios against a named baseline.

`PYTHONPATH=src python -m bench.<name> --help` tells what each takes.
"""
