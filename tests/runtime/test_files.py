"""A file is whole or absent, whatever happens while it is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eddygrad.runtime.files import write_atomically


def test_bytes_and_writers_make_the_same_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "new" / "a", b"whole")
    write_atomically(tmp_path / "b", lambda temporary: temporary.write_bytes(b"whole"))
    assert (tmp_path / "new" / "a").read_bytes() == (tmp_path / "b").read_bytes() == b"whole"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "new"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail(temporary: Path) -> None:
        temporary.write_bytes(b"ha")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"


def test_temporary_files_of_dead_writers_are_removed_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    dead = int(subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True).stdout)
    for name in (f"[a].{dead}", f"[a].{os.getppid()}", f"a.{dead}"):
        (tmp_path / f".{name}.tmp").write_bytes(b"half")
    write_atomically(tmp_path / "[a]", b"whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([f".[a].{os.getppid()}.tmp", f".a.{dead}.tmp", "[a]"])
