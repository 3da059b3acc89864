"""`python -m eddygrad`, the same as `eddygrad`."""

from eddygrad.cli.main import main

raise SystemExit(main())
