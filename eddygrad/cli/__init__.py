"""The subcommands of `eddygrad`, one file each: a typed dataclass whose fields are the options and whose `run` does the work."""
