"""Benchmarks: each prints a table and writes JSON; peers run side by side in the same run."""
