"""Progress: a bar where somebody looks, plain lines in a file."""

from __future__ import annotations

import io
import sys

import pytest

from eddygrad.runtime import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, **options: bool) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    shown = progress.bar("work", 4, done=1, **options)
    for _ in range(3):
        shown.update(1)
    shown.close()
    return stream.getvalue()


def test_a_file_gets_lines_and_few(monkeypatch: pytest.MonkeyPatch) -> None:
    first, last = drawn(io.StringIO(), monkeypatch, keep=False).splitlines()
    assert "\r" not in first + last and first.startswith("work:  25%") and "4/4" in last
    assert drawn(io.StringIO(), monkeypatch, show=False) == ""
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    assert len(drawn(io.StringIO(), monkeypatch).splitlines()) >= 4


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\r" in drawn(Terminal(), monkeypatch)
    assert drawn(Terminal(), monkeypatch, show=False) == ""
