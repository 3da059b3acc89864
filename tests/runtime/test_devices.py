"""A device that this machine lacks is one line."""

from __future__ import annotations

import pytest

from eddygrad.runtime.devices import check_device, devices


def test_every_device_of_the_machine_is_taken_and_no_other() -> None:
    assert devices()[0] == "cpu"
    for name in ("cpu:0", *devices()):
        check_device(name)
    with pytest.raises(ValueError, match=r"device: expected one of cpu.*, got 'abacus'"):
        check_device("abacus")
