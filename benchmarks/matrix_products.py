"""Record the matrix products of a computation: count their floating-point operations, and repeat them alone as a limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Layout = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]  # size, stride, dtype
_LEFT = {"mm": 0, "bmm": 0, "addmm": 1, "baddbmm": 1, "addmm_": 1, "baddbmm_": 1}  # position of the left factor among the arguments


class Products(TorchDispatchMode):
    """Records the factors of all matrix products while it is entered, including those of backward passes."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[Layout, Layout]] = []

    def __torch_dispatch__(self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        place = _LEFT.get(func.overloadpacket.__name__)
        if place is not None:
            left, right = args[place], args[place + 1]
            self.made.append((layout(left), layout(right)))
        return func(*args, **(kwargs or {}))

    @property
    def flops(self) -> int:
        """Floating-point operations of the recorded products."""
        return sum(2 * math.prod(left[0]) * right[0][-1] for left, right in self.made)


def layout(x: Tensor) -> Layout:
    return tuple(x.shape), tuple(x.stride()), x.dtype


def products_of(work: Callable[[], object]) -> Products:
    """Return the products of the second call of `work`; the first call makes what is made only once."""
    work()
    with Products() as recorded:
        work()
    return recorded


def replay(recorded: Products) -> Callable[[], None]:
    """Return a function that makes the recorded products alone, in the same layouts and with preallocated results.

    Products of one shape share factors and result, which then stay in the cache, so the limit is a lower bound.
    """
    memory: dict[tuple[str, Layout], Tensor] = {}

    def buffer(role: str, of: Layout) -> Tensor:
        if (role, of) not in memory:
            size, stride, dtype = of
            length = 1 + sum((n - 1) * s for n, s in zip(size, stride))
            memory[role, of] = torch.randn(length, dtype=dtype).as_strided(size, stride)
        return memory[role, of]

    work = []
    for left, right in recorded.made:
        size = (*left[0][:-1], right[0][-1])
        out = buffer("out", (size, torch.empty(size, device="meta").stride(), left[2]))
        work.append((torch.mm if len(size) == 2 else torch.bmm, buffer("left", left), buffer("right", right), out))

    def run() -> None:
        for product, left, right, out in work:
            product(left, right, out=out)

    return run
