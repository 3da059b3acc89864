"""A substep whose loops torch's compiler fuses, compared with the plain one before it is relied on."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor

from eddygrad.runtime.compilation import deviation, round_off, use_own_cache, warn_of_deviation

if TYPE_CHECKING:
    from eddygrad.solver.schemes.staggered_scheme import StaggeredScheme
    from eddygrad.solver.schemes.staggered_step import StaggeredStep

Components = list[Tensor]
Substep = Callable[["StaggeredStep", Components, Tensor | float], tuple[Components, Components]]
_PROGRAMS = 64  # grids, batches, schemes that one process may compile
_GRADIENT_LIMIT = 1e-2  # of the mean: an upwind scheme's gradient jumps where round-off turns a velocity's sign; a wrong program is wrong everywhere
_verdicts: WeakKeyDictionary[StaggeredScheme, dict[tuple[Any, ...], Substep]] = WeakKeyDictionary()


def plain_substep(step: StaggeredStep, u: Components, t: Tensor | float) -> tuple[Components, Components]:
    """Return the channels (B, *grid) one substep after time t [s], and what bodies took from the flow meanwhile.

    Args:
        step: bound step.
        u:    channels (B, *grid).
        t:    time at the start [s].
    """
    taken: Components = []
    return step.substep(u, t, taken), taken


def compiled_substep(step: StaggeredStep, u: Components, t: Tensor | float) -> tuple[Components, Components]:
    """Return what `plain_substep` returns, to round-off, by a compiled program.

    The first result of each program (scheme, shapes, precision, threads, with or without gradients) is compared with the plain one, and so is a
    gradient. If they differ, a warning says so and this process uses the plain operations instead.

    Args:
        step: bound step.
        u:    channels (B, *grid).
        t:    time at the start [s].
    """
    if torch.compiler.is_compiling() or is_functorch_wrapped_tensor(u[0]):
        return _program()(step, u, t)
    kind = (u[0].shape, u[0].dtype, u[0].device, torch.is_grad_enabled(), any(v.requires_grad for v in u), torch.get_num_threads())
    run = step.programs.get(kind)
    if run is not None:
        return run(step, u, t)
    given = tuple((name, v.shape, v.requires_grad) if isinstance(v, Tensor) else name for name, v in sorted(step.momentum.params.items()))
    verdicts = _verdicts.setdefault(step.scheme, {})
    if (kind, given) in verdicts:
        step.programs[kind] = verdicts[kind, given]
        return step.programs[kind](step, u, t)
    use_own_cache()
    found = _program()(step, u, t)
    gap = _deviation(step, u, t, found)
    if gap is None:  # not finite: the next result is compared
        return found
    agrees = gap <= 1.0
    verdicts[kind, given] = step.programs[kind] = _program() if agrees else plain_substep
    if agrees:
        return found
    warn_of_deviation(type(step.scheme).__name__, gap * round_off(u[0].dtype))
    return plain_substep(step, u, t)


@lru_cache(maxsize=1)
def _program() -> Substep:
    """`plain_substep` compiled. The bound step is an argument, so that steps bound anew, to other parameters, share what was compiled."""
    torch._dynamo.config.recompile_limit = max(_PROGRAMS, torch._dynamo.config.recompile_limit)
    return torch.compile(plain_substep, dynamic=False)


def _deviation(step: StaggeredStep, u: Components, t: Tensor | float, found: tuple[Components, Components]) -> float | None:
    """Return how far the compiled program is from the plain one, in units of what is accepted; None if the plain result is not finite."""
    pressure = step.scheme.pressure
    hears_of_substeps = step.observe is not None and pressure is not None  # an observer is told of iterations, once
    silent = step.scheme.at(step.momentum.params, step.momentum.like) if hears_of_substeps else step
    with torch.no_grad():
        expected = plain_substep(silent, [v.detach() for v in u], t)  # type: ignore[arg-type]
    limit = round_off(u[0].dtype) if pressure is None else max(round_off(u[0].dtype), 10 * pressure.tolerance)
    gap = deviation([*found[0], *found[1]], [*expected[0], *expected[1]])
    if gap is None or gap > limit or hears_of_substeps or not any(v.requires_grad for v in found[0]) or not any(v.requires_grad for v in u):
        return None if gap is None else gap / limit
    if torch._C._autograd._top_saved_tensors_default_hooks(True) is not None:
        return gap / limit  # inside a checkpoint, which counts the tensors that are kept
    mine, plain = (_gradients(substep, step, u, t) for substep in (_program(), plain_substep))
    error, size = (sum(float(g.abs().sum()) for g in each) for each in ([a - b for a, b in zip(mine, plain)], plain))
    return max(gap / limit, error / size / _GRADIENT_LIMIT if size > 0 else 0.0)


def _gradients(substep: Substep, step: StaggeredStep, u: Components, t: Tensor | float) -> tuple[Tensor, ...]:
    """Return gradients of the sum of squares after a substep from a state near u, where upwind schemes have no ties."""
    generator = torch.Generator().manual_seed(0)
    size = max(float(v.detach().abs().max()) for v in u) or 1.0
    noise = [torch.rand(v.shape, generator=generator, dtype=v.dtype).sub_(0.5).mul_(0.2 * size).to(v.device) for v in u]
    state = [(v.detach() + n).requires_grad_() for v, n in zip(u, noise)]
    out, _ = substep(step, state, t)
    return torch.autograd.grad(torch.stack([v.square().sum() for v in out]).sum(), state)
