"""Figures of BENCHMARKS.md, each by the command that stands beside it there."""
