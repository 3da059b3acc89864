"""Unrolling: apply a step repeatedly, with or without gradients, and cut the gradient before chosen steps."""

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
# Steps per node of the graph for a step that takes many at once: more would free memory late in the backward pass, fewer would cost more calls.
_STEPS_PER_NODE = 8


class Window(NamedTuple):
    """Consecutive frames of trajectories and their physical parameters. `batch_at(step, horizon)` returns a window of horizon + 1 frames."""

    u: Tensor  # (B, T, C, *grid), or (S, B, T, C, *grid) if every seed draws its own samples
    params: dict[str, Tensor]  # (B, 1, *1) per sample, or (S, B, 1, *1)
    time_axis: int = 1  # 2 with a seed axis


BatchAt = Callable[[int, int], Window]


def never(k: int) -> bool:
    """Cut nowhere: back-propagate through all steps (with gradients, WIG)."""
    return False


def always(k: int) -> bool:
    """Cut before every step but the first: no temporal gradients (NOG). Equal to every(1)."""
    return k > 0


def every(j: int) -> Cut:
    """Return a cut at k = j, 2j, ...: truncated back-propagation.

    Raises: ValueError if j < 1.
    """
    if j < 1:
        raise ValueError(f"every: the distance of cuts must be at least 1, got {j}; `never` cuts nowhere")
    return lambda k: k > 0 and k % j == 0


def first(w: int) -> Cut:
    """Return a cut at k = 1 .. w: push-forward. The first w steps only advance the state, and the loss leaves their frames out.

    Raises: ValueError if w < 0.
    """
    if w < 0:
        raise ValueError(f"first: the number of warm-up steps must not be negative, got {w}")
    return lambda k: 0 < k <= w


def unroll(step: Step, u: Tensor, n: int, cut: Cut = never, keep: Keep = "all") -> Iterator[Tensor]:
    """Yield u_1 .. u_n with u_{k+1} = step(u_k), where `cut(k)` detaches the input of step k. The first state is never cut.

    Args:
        step: bound step.
        u:    initial state (B, C, *grid), or (S, B, C, *grid) with stacked seeds.
        n:    number of steps.
        cut:  function of k: whether the input of step k is detached.
        keep: "all" stores the graph of every step; a number of stored states, or "sqrt" for sqrt(n), repeats the steps between stored states in
              the backward pass. It changes memory and time, never the gradient.
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
    """Return the state n steps later. A `StayingStep` stays in its inner representation throughout.

    Args:
        step: bound step.
        u:    initial state (B, C, *grid), or (S, B, C, *grid) with stacked seeds.
        n:    number of steps.
        k:    index of the first step.
        grad: record the graph; without it nothing is recorded and buffers are reused.
        keep: states stored for the backward pass, as in `unroll`; "sqrt" needs memory for about 2 sqrt(n) steps instead of n.
    Returns: (B, C, *grid), equal to n calls of `step` up to round-off.
    """
    staying = step if n > 0 and isinstance(step, StayingStep) else None
    if not grad:
        return _repeat_plainly(step, u, n, k) if staying is None else _repeat_inside(staying, u, n, k)
    state = u if staying is None else staying.enter(u)
    if isinstance(staying, SteadyStep):
        for span in _pieces(n, _STEPS_PER_NODE) if keep == "all" else _spans(n, keep):
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
    """Divide the steps 0 .. n-1 into as many spans as states are stored."""
    if keep == "all":
        return [range(k, k + 1) for k in range(n)]
    count = math.isqrt(max(n - 1, 0)) + 1 if keep == "sqrt" else keep
    if not isinstance(count, int) or count < 1:
        raise ValueError(f"keep: expected 'all', 'sqrt' or a number of states of at least 1, got {keep!r}")
    return _pieces(n, math.ceil(n / min(count, n)) if n else 1)


def _pieces(n: int, length: int) -> list[range]:
    """Divide the steps 0 .. n-1 into spans of at most `length`."""
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
    """Return the frames of a simulation, without gradients.

    Args:
        step:          bound step.
        u:             initial state (B, C, *grid), or (S, B, C, *grid) with stacked seeds.
        frames:        number of frames.
        stride:        steps between frames.
        warmup:        steps before the first frame.
        include_start: the first frame is the state after the warm-up, not `stride` steps later.
        time_axis:     axis of the time in the result: 1, or 2 with stacked seeds.
        inside:        enter a `StayingStep` once and read every frame by `leave`. A step whose inner state holds more than a frame needs it, see
                       `StepperInfo.stays_inside`.
    Returns: (B, T, C, *grid), or (S, B, T, C, *grid).
    """
    return torch.stack(list(frames_of(step, u, frames, stride, warmup, include_start, inside)), dim=time_axis)


def frames_of(
    step: Step, u: Tensor, frames: int, stride: int = 1, warmup: int = 0, include_start: bool = False, inside: bool = False
) -> Iterator[Tensor]:
    """Yield the frames of `trajectory` one by one, for simulations that do not fit in memory.

    Args:
        step, u, frames, stride, warmup, include_start, inside: see `trajectory`.
    """
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
    """Yield frames of a step that is entered once."""
    with torch.no_grad():
        state, k = step.enter(u), 0
    for count in [warmup if include_start else warmup + stride, *[stride] * (frames - 1)][:frames]:
        with torch.no_grad():
            state = _advance(step, state, count, k)
            frame = step.leave(state)
        k += count
        yield frame
