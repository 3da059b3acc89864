"""Flow on a staggered grid: what stands at its sides, finite-volume operators between them, direct solvers for their Laplacians."""
