"""Benchmarks: what this server costs, as ratios against named baselines that are measured in the same run.

`make bench`, or `PYTHONPATH=src python -m bench --help`. docs/performance.md is written from the recorded run.
"""
