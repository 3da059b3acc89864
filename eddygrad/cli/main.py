"""The command line: `eddygrad SUBCOMMAND [options]`."""

from __future__ import annotations

import inspect
import io
import json
import math
import os
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from eddygrad._version import __version__
from eddygrad.cli.base import Command, Outcome


class Subcommand(NamedTuple):
    """A subcommand: the module and class that define it, and its line in the overview."""

    module: str
    kind: str
    summary: str

    def load(self) -> type[Command]:
        """Import the class of the subcommand."""
        kind: type[Command] = getattr(import_module(f"eddygrad.cli.{self.module}"), self.kind)
        return kind


COMMANDS = {
    "generate": Subcommand("generate", "Generate", "make a data set of a paper's setting"),
    "simulate": Subcommand("simulate", "Simulate", "run a solver and draw the result in space and time"),
    "plot": Subcommand("plot", "Plot", "draw a trajectory of a data set, or make a film of it"),
    "train": Subcommand("train", "Train", "train a network that corrects or replaces a solver"),
    "evaluate": Subcommand("evaluate", "Evaluate", "score a trained network, or baselines alone, on test data"),
    "compare": Subcommand("compare", "Compare", "compare unrolling modalities (ONE, NOG, WIG), with estimate, table and report"),
    "pinn": Subcommand("pinn", "Pinn", "solve problems with physics-informed networks, and compare loss weightings"),
    "report": Subcommand("report", "Report", "write the report of a comparison or of an evaluated network"),
    "check": Subcommand("check", "CheckPhysics", "check the physics of this installation"),
    "validate": Subcommand("validate", "Validate", "check a data set or a study on disk"),
    "info": Subcommand("info", "Info", "print versions, devices, recipes and presets"),
}

_EXAMPLES = """examples:
  eddygrad simulate --domain 1.2 --out ks.png                 a chaotic flame front, drawn
  eddygrad compare --preset demo                              which way to unroll is best? minutes on two cores
  eddygrad compare --preset ks-16x4 --estimate                hours and memory, before anything runs
  eddygrad train --unroll nog:3 --seeds 8 --out runs/mine     then: eddygrad evaluate runs/mine

Each option can also be set in a file: eddygrad SUBCOMMAND --config file.toml
Output for other programs: --json. Tracebacks of errors: EDDYGRAD_DEBUG=1."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns: the exit code: 0, 1 a check failed, 2 an error of the user, 130 interrupted.
    Raises: only with EDDYGRAD_DEBUG=1: an error of the user with its traceback.
    """
    args = list(sys.argv[1:] if args is None else args)
    if len(args) > 1 and args[0] == "help":
        args = [args[1], "--help"]
    if not args or args[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if args[0] in ("-V", "--version"):
        print(f"eddygrad {__version__}")
        return 0
    name = args[0]
    if name not in COMMANDS:
        return _complain(f"expected one of {', '.join(COMMANDS)}, got {name!r}; see eddygrad --help")
    try:
        command = parse(name, args[1:])
        return _answer(command, command.run(_quiet if command.json else _say))
    except KeyboardInterrupt:
        print(f"\neddygrad: stopped; the same command resumes the work:\n  eddygrad {' '.join(args)}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, FloatingPointError, FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        if os.environ.get("EDDYGRAD_DEBUG") == "1":
            raise
        return _complain(str(error))


def parse(name: str, args: Sequence[str]) -> Command:
    """Return the command with its options: defaults, overridden by the preset, then by --config, then by the command line.

    Args:
        name: of the subcommand.
        args: the words after it.
    Raises: ValueError for options or a file that do not parse; SystemExit for --help.
    """
    import tyro

    from eddygrad.cli import options_file

    kind = COMMANDS[name].load()
    args = kind.expanded(args)
    values = _values(kind, args)
    arguments = options_file.arguments(kind, values)
    missing = {field: tyro.MISSING for field in options_file.required(kind) if field not in arguments}
    complaint = io.StringIO()
    try:
        with redirect_stderr(complaint):
            return tyro.cli(
                kind,
                prog=f"eddygrad {name}",
                description=inspect.getdoc(kind),
                args=args,
                default=kind(**missing, **arguments),
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as end:
        if end.code in (0, None):
            raise
        message = _unboxed(complaint.getvalue()).removeprefix(f"{name}: ")
        raise ValueError(f"{name}: {message}; see eddygrad {name} --help") from None


def _values(kind: type[Command], args: Sequence[str]) -> dict[str, Any]:
    """Return the options of the preset, overridden by those of the file."""
    from eddygrad.cli import options_file

    values: dict[str, Any] = {}
    path = _early(args, "--config")
    if path:
        values = options_file.checked(kind, options_file.read(Path(path)), path)
    preset = _early(args, "--preset") or values.get("preset")
    if preset:
        values = {**options_file.checked(kind, kind.preset_values(preset), f"preset {preset}"), **values}
    return values


def _unboxed(text: str) -> str:
    """Return tyro's complaint as one line, without its frame, its title and its references to the help."""
    lines = [line.strip("│ ") for line in text.splitlines() if not line.startswith(("╭", "╰"))]
    lines = [line for line in lines if line]
    if "╭" not in text and len(lines) > 1 and _is_rule(lines[1]):  # without box characters the title is a line of its own
        lines = lines[2:]
    kept: list[str] = []
    for line in lines:
        if line.startswith(("Argument helptext", "For full helptext")):
            break
        kept += [] if _is_rule(line) else [line]
    return re.sub(r"^Error parsing (study|plan): ", "", " ".join(kept)).removesuffix(".")


def _is_rule(line: str) -> bool:
    return set(line) <= {"─", "-"}


def _early(args: Sequence[str], option: str) -> str | None:
    """Return the value of an option that sets defaults of others, before all options are parsed."""
    for i, word in enumerate(args):
        if word == option and i + 1 < len(args):
            return args[i + 1]
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None


def _help() -> str:
    lines = [f"  {name:10}{entry.summary}" for name, entry in COMMANDS.items()]
    head = "eddygrad: a differentiable flow solver, with networks that correct it or replace it\n\nusage: eddygrad SUBCOMMAND [options]"
    return "\n".join([head, "", *lines, "", _EXAMPLES, "", "Options of a subcommand: eddygrad SUBCOMMAND --help, or eddygrad help SUBCOMMAND."])


def _answer(command: Command, outcome: Outcome) -> int:
    if command.json:
        print(json.dumps(_plain(outcome.data), indent=1, allow_nan=False))
    return outcome.code


def _plain(value: Any) -> Any:
    """Return JSON values: paths become strings, NaN and Inf null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _say(line: str) -> None:
    print(line, flush=True)


def _quiet(line: str) -> None:
    pass


def _complain(message: str) -> int:
    print(f"eddygrad: {' '.join(message.split())}", file=sys.stderr)
    return 2
