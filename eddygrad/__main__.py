"""`python -m eddygrad`, the same as `eddygrad`."""

from eddygrad.cli import main

raise SystemExit(main())
