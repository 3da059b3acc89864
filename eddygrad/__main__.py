"""Run the command line as `python -m eddygrad`."""

from eddygrad.cli.main import main

raise SystemExit(main())
