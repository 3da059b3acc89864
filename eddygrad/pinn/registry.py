"""A user's own problem under a name, for comparisons of weightings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from eddygrad.pinn.collocation import Collocation
from eddygrad.pinn.problem import Known, Problem
from eddygrad.pinn.problems import OWN, PROBLEMS, Case
from eddygrad.pinn.solution import Solution
from eddygrad.pinn.solve import check_resolved, drops_after, objective_of, references
from eddygrad.runtime.code_digest import code_digest

_USUAL = 10_000  # updates


def register(name: str, problem: Problem, errors: Known, steps: int = _USUAL) -> None:
    """Give a posed problem a name that `eg.pinn.compare` and its studies know; a folder that was begun takes no other problem of that name.

        eg.pinn.register("channel", problem, errors=exact)
        study = eg.pinn.compare(problem="channel", weighting=["uniform", "inverse-dirichlet"], seeds=5, steps=5000)
        study.run(); study.report()
    In a script outside of `if __name__ == "__main__":`, so that processes side by side (`jobs=2`) know it too.

    Args:   errors: its exact solution; the endpoint is the relative L2 error at 4000 points. steps: updates where a study says nothing.
    Raises: ValueError for a name that is taken, or is none.
    """
    if name in PROBLEMS and name not in OWN:
        raise ValueError(f"register: {name!r} is a problem of eddygrad's; take another name")
    if not name or set(name) & set(":,= "):
        raise ValueError(f"register: expected a name without ':', ',', '=' and blanks, got {name!r}")
    told = {**problem.described(), "errors": code_digest(errors) if callable(errors) else repr(errors)}
    told |= {} if steps == _USUAL else {"updates": repr(steps)}
    own, given = hashlib.sha256(repr(sorted(told.items())).encode()).hexdigest()[:16], steps

    def make(seeds: int | Sequence[int] = 0, dtype: torch.dtype = torch.float32, steps: int = given) -> Case:
        each = seeds if isinstance(seeds, int) else tuple(seeds)
        check_resolved(problem.domain, dtype)
        objective = objective_of(problem, each, dtype, steps)

        def found(trained: Collocation) -> Mapping[str, Tensor]:
            return {"error": Solution(problem, trained).error(errors)}

        batches = problem.batches(objective, dtype, "cpu")
        return Case(objective, batches, found, references(objective), steps, drops_after(objective.joins, steps), 5, digest=own)

    PROBLEMS[name] = make
    OWN[name] = own
