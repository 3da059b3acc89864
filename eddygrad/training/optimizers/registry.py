"""Optimisers by name; each is a function of parameter groups."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

from eddygrad.runtime.specs import Registry

Make = Callable[[Any], torch.optim.Optimizer]  # parameter groups -> optimiser


def adam(groups: Any, **options: Any) -> torch.optim.Optimizer:
    """Return Adam with torch's defaults and a fused update."""
    return torch.optim.Adam(groups, fused=True, **options)


def soap(groups: Any, **options: Any) -> torch.optim.Optimizer:
    """Adam in the eigenbasis of Shampoo's preconditioner, one per weight matrix        Vyas et al. 2024 (arXiv 2409.11321)

    Implemented by the package pytorch-optimizer. Raises ValueError if it is not installed.
    """
    try:
        from pytorch_optimizer import SOAP
    except ImportError:
        raise ValueError('optimizer: soap needs the package pytorch-optimizer; pip install "eddygrad[optimizers]"') from None
    unknown = sorted(set(options) - set(inspect.signature(SOAP).parameters))  # SOAP ignores unknown options without a word
    if unknown:
        raise TypeError(f"SOAP got an unexpected keyword argument {unknown[0]!r}")
    return SOAP(groups, **{"weight_decay": 0.0, "betas": (0.95, 0.95), "precondition_frequency": 10, **options})


def lbfgs(groups: Any, **options: Any) -> torch.optim.Optimizer:
    """L-BFGS with a strong Wolfe line search, one line per update; for a single seed and full batches. Raises ValueError for several seeds.

    Torch's tolerances are off: they do not scale with the loss and would end the training silently.
    """
    groups = list(groups)
    if len(groups) > 1:
        raise ValueError(f"optimizer: lbfgs searches along one line at a time, got {len(groups)} stacked seeds; train them in runs of one seed")
    endless = {"tolerance_grad": 0.0, "tolerance_change": 0.0}
    return torch.optim.LBFGS(groups, **{"max_iter": 1, "max_eval": 25, "history_size": 50, "line_search_fn": "strong_wolfe", **endless, **options})


def searches(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether the optimiser searches along lines, so that it evaluates the loss several times per step."""
    return isinstance(optimizer, torch.optim.LBFGS)


OPTIMIZERS: Registry[tuple[Callable[..., torch.optim.Optimizer], float]] = Registry(  # with the usual learning rate
    "optimizer",
    {
        "adam": (adam, 1e-3),
        "rmsprop": (torch.optim.RMSprop, 1e-3),
        "adagrad": (torch.optim.Adagrad, 1e-2),
        "soap": (soap, 3e-3),
        "lbfgs": (lbfgs, 1.0),
    },
)
BY_TENSOR = frozenset({soap})  # optimisers that depend on the shape of a tensor


def find_optimizer(value: str | Make, options: Mapping[str, Any] | None = None) -> tuple[Make, float]:
    """Return an optimiser as `TrainingConfig` takes it, and its learning rate.

    Args:
        value:   name with options, e.g. "adam:lr=1e-3", or a function of parameter groups, whose usual rate is that of Adam.
        options: further options of a name.
    Raises: ValueError for an unknown name or option, or what is no optimiser.
    """
    if not isinstance(value, str):
        if not callable(value):
            raise ValueError(f"optimizer: expected a name such as 'adam:lr=1e-3' or a function of parameter groups, got {value!r}")
        return value, OPTIMIZERS["adam"][1]
    spec = OPTIMIZERS.spec(value)
    make, usual = OPTIMIZERS[spec.name]
    given = {**spec.options, **(options or {})}
    rate = given.pop("lr", usual)
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise ValueError(f"optimizer: {spec.name}: lr is a number, got {rate!r}")
    chosen = WithOptions(make, given) if given else make
    try:
        chosen([{"params": [torch.nn.Parameter(torch.zeros(2, 2))], "lr": 1e-3}])
    except TypeError as error:  # an unknown option, or a value of another type
        raise ValueError(f"optimizer: {spec.name}: {error}") from None
    return chosen, float(rate)


class WithOptions:
    """An optimiser with options.

    Args:
        make:    function of parameter groups and options.
        options: by name.
    """

    def __init__(self, make: Callable[..., torch.optim.Optimizer], options: Mapping[str, Any]) -> None:
        self.make, self.options = make, dict(options)

    def __call__(self, groups: Any) -> torch.optim.Optimizer:
        return self.make(groups, **self.options)


def by_tensor(make: Callable[..., Any]) -> bool:
    """Return whether the optimiser must see every tensor of the network by itself; the others see one long vector."""
    return (make.make if isinstance(make, WithOptions) else make) in BY_TENSOR
