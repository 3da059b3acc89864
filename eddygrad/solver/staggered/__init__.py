"""Flow on a staggered grid: boundary conditions, finite-volume operators, immersed bodies, direct and iterative pressure solvers."""
