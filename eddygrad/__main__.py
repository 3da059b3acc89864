"""`python -m eddygrad` is the command `eddygrad`."""

from eddygrad.cli import main

main()
