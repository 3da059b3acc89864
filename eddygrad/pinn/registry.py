"""Problems of a user under a name, for comparisons of weightings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from eddygrad.pinn.collocation import Collocation
from eddygrad.pinn.posed_problem import Known, Problem
from eddygrad.pinn.problems import OWN, PROBLEMS, Case
from eddygrad.pinn.solution import Solution
from eddygrad.pinn.solve import check_resolved, drops_after, objective_of, references
from eddygrad.runtime.code_digest import code_digest

_USUAL_STEPS = 10_000


def register(name: str, problem: Problem, errors: Known, steps: int = _USUAL_STEPS) -> None:
    """Register a problem under a name that `eg.pinn.compare` and its studies accept. A begun folder takes no other problem of that name.

        eg.pinn.register("channel", problem, errors=exact)
        study = eg.pinn.compare(problem="channel", weighting=["uniform", "inverse-dirichlet"], seeds=5, steps=5000)
        study.run(); study.report()
    In a script, register outside of `if __name__ == "__main__":`, so that parallel processes (`jobs=2`) know the problem too.

    Args:
        name:    name of the problem.
        problem: the problem.
        errors:  its exact solution; the endpoint of a study is the relative L2 error at 4000 points.
        steps:   number of updates if a study gives none.
    Raises: ValueError for a name of eddygrad's own problems, or one with ':', ',', '=' or blanks.
    """
    if name in PROBLEMS and name not in OWN:
        raise ValueError(f"pinn.register: {name!r} is a problem of eddygrad's; use another name")
    if not name or set(name) & set(":,= "):
        raise ValueError(f"pinn.register: expected a name without ':', ',', '=' and blanks, got {name!r}")
    identity = {**problem.described(), "errors": code_digest(errors) if callable(errors) else repr(errors)}
    identity |= {} if steps == _USUAL_STEPS else {"updates": repr(steps)}
    digest, usual_steps = hashlib.sha256(repr(sorted(identity.items())).encode()).hexdigest()[:16], steps

    def make(seeds: int | Sequence[int] = 0, dtype: torch.dtype = torch.float32, steps: int = usual_steps) -> Case:
        own_seeds = seeds if isinstance(seeds, int) else tuple(seeds)
        check_resolved(problem.domain, dtype)
        objective = objective_of(problem, own_seeds, dtype, steps)

        def error(trained: Collocation) -> Mapping[str, Tensor]:
            return {"error": Solution(problem, trained).error(errors)}

        batches = problem.batches(objective, dtype, "cpu")
        return Case(objective, batches, error, references(objective), steps, drops_after(objective.joins, steps), 5, digest=digest)

    PROBLEMS[name] = make
    OWN[name] = digest
