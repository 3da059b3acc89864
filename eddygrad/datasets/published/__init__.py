"""Reference values of published benchmarks."""
