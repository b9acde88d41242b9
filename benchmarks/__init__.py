"""Benchmarks: ``micro`` for single parts, ``load`` for the whole host, ``peers`` side by side."""
