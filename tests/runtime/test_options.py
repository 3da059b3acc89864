"""Options by name are of the type that their taker says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pytest

from eddygrad.runtime.options import checked, parameters


def taker(
    self: Any, count: int, rate: float = 1.0, on: bool = False, name: str | Sequence[str] = "a", most: float | None = None,
    how: Literal["x", "y"] = "x", values: Mapping[str, float] | None = None, anything: Any = None, *rest: int, key: int = 0, **more: int,
) -> None:  # fmt: skip
    pass


TAKES = parameters(taker, but=("key",))


def test_what_is_taken_by_name_is_found_with_its_type() -> None:
    assert set(TAKES) == {"count", "rate", "on", "name", "most", "how", "values", "anything"} and TAKES["count"] is int

    class Base:
        def __init__(self, a: int, b: str = "") -> None:
            pass

    class Derived(Base):
        def __init__(self, b: float = 0.0, **options: Any) -> None:
            super().__init__(1)

    class Silent(Derived):
        pass

    assert parameters(Silent) == {"a": int, "b": float}  # the nearest says what it is


@pytest.mark.parametrize(
    "name, value",
    [("count", 3), ("rate", 3), ("rate", 1e-3), ("on", True), ("name", "b"), ("name", ("b", "c")), ("most", None), ("how", "y"), ("values", {"a": 1}),
     ("anything", 1j)],
)  # fmt: skip
def test_a_value_of_its_type_is_taken(name: str, value: Any) -> None:
    assert checked("it", {name: value}, TAKES) == {name: value}


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("count", 2.5, "count is a whole number, got 2.5"),
        ("count", True, "count is a whole number, got True"),
        ("count", "abc", "count is a whole number, got 'abc'"),
        ("rate", "fast", "rate is a number, got 'fast'"),
        ("rate", False, "rate is a number, got False"),
        ("on", 1, "on is true or false, got 1"),
        ("name", 3, "name is a text or Sequence, got 3"),
        ("most", "much", "most is a number or none, got 'much'"),
        ("how", "z", "how is 'x' or 'y', got 'z'"),
        ("values", "a", "values is Mapping or none, got 'a'"),
        ("speed", 1, "has no option 'speed'; expected some of anything, count"),
    ],
)
def test_any_other_is_said_in_a_line(name: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"^it:? {said}"):
        checked("it", {name: value}, TAKES)
