"""Optimisers by name, each a function of parameter groups."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch


def adam(groups: Any, **options: Any) -> torch.optim.Optimizer:
    """Adam with torch's defaults, its update fused."""
    return torch.optim.Adam(groups, fused=True, **options)


def soap(groups: Any, **options: Any) -> torch.optim.Optimizer:
    """Adam in the eigenbasis of Shampoo's preconditioner, which every matrix of weights has for itself        Vyas et al. 2024 (arXiv 2409.11321)

    That of the package pytorch-optimizer. Raises ValueError if it is not installed.
    """
    try:
        from pytorch_optimizer import SOAP
    except ImportError:
        raise ValueError('optimizer: soap needs the package pytorch-optimizer; pip install "eddygrad[optimizers]"') from None
    strangers = sorted(set(options) - set(inspect.signature(SOAP).parameters))  # it takes any, and says nothing
    if strangers:
        raise TypeError(f"SOAP got an unexpected keyword argument {strangers[0]!r}")
    return SOAP(groups, **{"weight_decay": 0.0, "betas": (0.95, 0.95), "precondition_frequency": 10, **options})


def lbfgs(groups: Any, **options: Any) -> torch.optim.Optimizer:
    """L-BFGS with a strong Wolfe search, one line an update; for a single seed and batches that stay. Raises ValueError for several seeds.

    It ends with the training's updates alone: torch's own tolerances know nothing of the size of a loss, and would end it unseen.
    """
    groups = list(groups)
    if len(groups) > 1:
        raise ValueError(f"optimizer: lbfgs searches along one line at a time, got {len(groups)} stacked seeds; train them in runs of one seed")
    endless = {"tolerance_grad": 0.0, "tolerance_change": 0.0}
    return torch.optim.LBFGS(groups, **{"max_iter": 1, "max_eval": 25, "history_size": 50, "line_search_fn": "strong_wolfe", **endless, **options})


def searches(optimizer: torch.optim.Optimizer) -> bool:
    """Does it ask for losses on its way?"""
    return isinstance(optimizer, torch.optim.LBFGS)


OPTIMIZERS: Mapping[str, tuple[Callable[..., torch.optim.Optimizer], float]] = {  # and the rate at which each usually begins
    "adam": (adam, 1e-3),
    "rmsprop": (torch.optim.RMSprop, 1e-3),
    "adagrad": (torch.optim.Adagrad, 1e-2),
    "soap": (soap, 3e-3),
    "lbfgs": (lbfgs, 1.0),
}
BY_TENSOR = frozenset({soap})  # these look at the shape of a tensor


def named(name: str, options: Mapping[str, Any] | None = None) -> tuple[Callable[[Any], torch.optim.Optimizer], float]:
    """An optimiser as `Training` takes it, and its learning rate. Raises ValueError for an unknown name or option."""
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer: expected one of {', '.join(OPTIMIZERS)}, got {name!r}")
    make, usual = OPTIMIZERS[name]
    given = dict(options or {})
    rate = given.pop("lr", usual)
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise ValueError(f"optimizer: {name}: lr is a number, got {rate!r}")
    made = Made(make, given) if given else make
    try:
        made(_trial())
    except TypeError as error:  # an option that it has not, or a value of another type, shows here
        raise ValueError(f"optimizer: {name}: {error}") from None
    return made, float(rate)


class Made:
    """An optimiser with options."""

    def __init__(self, make: Callable[..., torch.optim.Optimizer], options: Mapping[str, Any]) -> None:
        self.make, self.options = make, dict(options)

    def __call__(self, groups: Any) -> torch.optim.Optimizer:
        return self.make(groups, **self.options)


def by_tensor(make: Callable[..., Any]) -> bool:
    """Does it see each tensor of the network by itself, where others see one long vector?"""
    return (make.make if isinstance(make, Made) else make) in BY_TENSOR


def _trial() -> list[dict[str, Any]]:
    return [{"params": [torch.nn.Parameter(torch.zeros(2, 2))], "lr": 1e-3}]
