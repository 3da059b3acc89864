"""One loop unrolls: a step again and again, the gradient cut where told."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from eddygrad.runtime.memory import recomputed
from eddygrad.solver.step import StayingStep, SteadyStep, Step

Cut = Callable[[int], bool]
Keep = int | Literal["all", "sqrt"]
# Steps of one node of the graph where a step makes many at once: more would free their memory late in the backward pass, fewer cost calls.
_TOGETHER = 8


class Window(NamedTuple):
    """Consecutive frames of trajectories and their physical parameters; what `batch_at(step, horizon)` returns, horizon + 1 frames long."""

    u: Tensor  # (B, T, C, *grid), or (S, B, T, C, *grid) where every seed draws its own samples
    params: dict[str, Tensor]  # (B, 1, *1) per sample, or (S, B, 1, *1)
    time_axis: int = 1  # 2 where a seed axis leads


BatchAt = Callable[[int, int], Window]


def never(k: int) -> bool:
    """Back-propagate through everything: with gradients (WIG)."""
    return False


def always(k: int) -> bool:
    """Cut before every step but the first: no temporal gradients (NOG). Equal to every(1)."""
    return k > 0


def every(j: int) -> Cut:
    """Truncated back-propagation: cut at k = j, 2j, ...

    Raises: ValueError if j < 1.
    """
    if j < 1:
        raise ValueError(f"every: the distance of cuts must be at least 1, got {j}; `never` cuts nowhere")
    return lambda k: k > 0 and k % j == 0


def first(w: int) -> Cut:
    """Push-forward: cut at k = 1 .. w, so that the first w steps only move the state. The loss leaves their frames out.

    Raises: ValueError if w < 0.
    """
    if w < 0:
        raise ValueError(f"first: the number of warm-up steps must not be negative, got {w}")
    return lambda k: 0 < k <= w


def unroll(step: Step, u: Tensor, n: int, cut: Cut = never, keep: Keep = "all") -> Iterator[Tensor]:
    """Yield u_1 .. u_n with u_{k+1} = step(u_k), where `cut(k)` detaches the input of step k. The first state is never cut.

    Args: keep: of how many states the backward pass starts: "all" keeps the graph of every step; a number, or "sqrt" for sqrt(n), runs the steps
          between kept states again when their gradient is asked for. It changes memory and time, never the gradient.
    """
    for span in _spans(n, keep):

        def frames(u: Tensor, span: range = span) -> tuple[Tensor, ...]:
            out = []
            for k in span:
                u = step(u.detach() if k and cut(k) else u, k)
                out.append(u)
            return tuple(out)

        for u in frames(u) if len(span) == 1 and keep == "all" else recomputed(frames, u):  # noqa: B020
            yield u


def repeat(step: Step, u: Tensor, n: int, k: int = 0, grad: bool = False, keep: Keep = "all") -> Tensor:
    """The state n steps later, by the shortest way: a step that offers enter/inner/leave stays inside.

    Args:    k: index of the first step. grad: keep the graph; without it nothing is recorded and buffers are reused.
             keep: how many states the backward pass starts from, as in `unroll`; "sqrt" needs memory for about 2 sqrt(n) steps instead of n.
    Returns: (B, C, *grid), equal to n calls of `step` up to round-off.
    """
    staying = step if n > 0 and isinstance(step, StayingStep) else None
    if not grad:
        return _repeat_plainly(step, u, n, k) if staying is None else _repeat_inside(staying, u, n, k)
    state = u if staying is None else staying.enter(u)
    if isinstance(staying, SteadyStep):
        for span in _pieces(n, _TOGETHER) if keep == "all" else _spans(n, keep):
            state = staying.steps(state, len(span), again=keep != "all")
        return staying.leave(state)
    one = step if staying is None else staying.inner
    for span in _spans(n, keep):

        def run(state: Tensor, span: range = span) -> Tensor:
            for i in span:
                state = one(state, k + i)
            return state

        state = run(state) if keep == "all" else recomputed(run, state)
    return state if staying is None else staying.leave(state)


def _spans(n: int, keep: Keep) -> list[range]:
    """Steps 0 .. n-1 in as many spans as states are kept.

    Raises: ValueError for a number below one.
    """
    if keep == "all":
        return [range(k, k + 1) for k in range(n)]
    count = math.isqrt(max(n - 1, 0)) + 1 if keep == "sqrt" else keep
    if not isinstance(count, int) or count < 1:
        raise ValueError(f"keep: expected 'all', 'sqrt' or a number of states of at least 1, got {keep!r}")
    return _pieces(n, math.ceil(n / min(count, n)) if n else 1)


def _pieces(n: int, length: int) -> list[range]:
    """Steps 0 .. n-1 in pieces of at most `length`."""
    return [range(a, min(a + length, n)) for a in range(0, n, length)]


@torch.no_grad()
def _repeat_plainly(step: Step, u: Tensor, n: int, k: int) -> Tensor:
    for i in range(k, k + n):
        u = step(u, i)
    return u


def _repeat_inside(step: StayingStep, u: Tensor, n: int, k: int) -> Tensor:
    # Inference mode spares version counters; `leave` runs outside it, so that an ordinary tensor returns.
    with torch.inference_mode():
        state = _advance(step, step.enter(u), n, k)
    with torch.no_grad():
        return step.leave(state)


def _advance(step: StayingStep, state: Any, n: int, k: int) -> Any:
    """Return the inner representation n steps later."""
    if isinstance(step, SteadyStep):
        return step.steps(state, n)
    for i in range(k, k + n):
        state = step.inner(state, i)
    return state


def trajectory(
    step: Step,
    u: Tensor,
    frames: int,
    stride: int = 1,
    warmup: int = 0,
    include_start: bool = False,
    time_axis: int = 1,
    inside: bool = False,
) -> Tensor:
    """Frames of a run, without gradients: generating data is the same loop.

    Args:    frames: number of frames kept. stride: steps from frame to frame. warmup: steps dropped before the first.
             include_start: the first frame is the state after the warm-up itself, not `stride` steps later.
             time_axis: where time is put: 1, behind the batch; 2 with stacked seeds.
             inside: a step that offers enter/inner/leave is entered once and every frame is read by `leave`; a step whose inner state holds
                     more than a frame shows (`Refined`) needs it.
    Returns: (B, T, C, *grid), or (S, B, T, C, *grid).
    """
    return torch.stack(list(frames_of(step, u, frames, stride, warmup, include_start, inside)), dim=time_axis)


def frames_of(
    step: Step, u: Tensor, frames: int, stride: int = 1, warmup: int = 0, include_start: bool = False, inside: bool = False
) -> Iterator[Tensor]:
    """The frames of `trajectory` one by one, for runs that do not fit in memory."""
    if inside and isinstance(step, StayingStep):
        yield from _frames_inside(step, u, frames, stride, warmup, include_start)
        return
    k = warmup
    u = repeat(step, u, warmup)
    if include_start and frames > 0:
        yield u
        frames -= 1
    for _ in range(frames):
        u = repeat(step, u, stride, k)
        k += stride
        yield u


def _frames_inside(step: StayingStep, u: Tensor, frames: int, stride: int, warmup: int, include_start: bool) -> Iterator[Tensor]:
    """Frames read from a state that stays inside."""
    with torch.no_grad():
        state, k = step.enter(u), 0
    for count in [warmup if include_start else warmup + stride, *[stride] * (frames - 1)][:frames]:
        with torch.no_grad():
            state = _advance(step, state, count, k)
            frame = step.leave(state)
        k += count
        yield frame
