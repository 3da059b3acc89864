"""The state of a run: what a checkpoint holds, and how a run is resumed from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from eddygrad.training.checkpoint import difference, digest, load_state, save_state

if TYPE_CHECKING:
    from eddygrad.training.loop import Loop

_COUNTERS = ("skipped", "clipped", "frozen_at", "average", "seen")  # of the guard


def state_of(loop: Loop) -> dict[str, Any]:
    """Return everything that an interrupted run needs to continue bitwise."""
    plan = loop.training
    return {
        "step": loop.step,
        "seconds": loop.seconds,
        "curve": json.dumps(loop.curve),
        "buffer": loop.stack.buffer,
        "start": loop.start,
        "several": loop.balance.several,
        "optimizer": loop.optimizer.state_dict(),
        "plateau": plan.schedule.state_dict(),
        "refinement": {} if plan.refinement is None else plan.refinement.state_dict(),
        "weighting": loop.weighting.state_dict(),
        "companions": {name: part.state_dict() for name, part in loop.stateful.items()},
        "guard": {name: getattr(loop.guard, name) for name in _COUNTERS},
    }


def save(loop: Loop, folder: Path, log_bytes: int, description: dict[str, Any]) -> None:
    """Write the checkpoint of a run.

    Args:
        loop:        the run.
        folder:      folder of the checkpoint.
        log_bytes:   length of metrics.jsonl on disk; a resumed run cuts off what follows.
        description: configuration that a resumed run must have.
    """
    kept = {"log": log_bytes, "description": json.dumps(description, sort_keys=True)}
    save_state(folder / "checkpoint.pt", {**state_of(loop), **kept})


def restore(loop: Loop, state: dict[str, Any]) -> None:
    """Continue `loop` from a state. Raises ValueError if that run began with other weights, in another precision or on another kind of device."""
    if state["buffer"].shape != loop.stack.buffer.shape:
        raise ValueError(
            f"checkpoint: expected {tuple(loop.stack.buffer.shape)} (seeds, parameters), got {tuple(state['buffer'].shape)}; "
            "it belongs to another network: choose another folder"
        )
    _check_start(loop, state)
    with torch.no_grad():
        loop.stack.buffer.copy_(state["buffer"])
    loop.step, loop.seconds, loop.curve = state["step"], state["seconds"], json.loads(state["curve"])
    loop.balance.several = bool(state.get("several", False))
    loop.phases.resume(loop.step - 1)  # the optimiser of the last update; the next update may create another one
    loop.optimizer.load_state_dict(state["optimizer"])
    loop.training.schedule.load_state_dict(state["plateau"])
    if loop.training.refinement is not None:
        loop.training.refinement.load_state_dict(state["refinement"])
        loop.refine()
    if state.get("weighting"):  # checkpoints of early versions have no state of a weighting
        loop.weighting.load_state_dict(state["weighting"])
    for name, part in loop.stateful.items():
        part.load_state_dict(state["companions"].get(name, {}))
    for name, value in state["guard"].items():
        setattr(loop.guard, name, value)


def resume(loop: Loop, folder: Path | None, description: dict[str, Any]) -> int:
    """Continue from the checkpoint of a folder, if it has one.

    Args:
        loop:        the run, at update 0.
        folder:      folder of the run; None for none.
        description: configuration of the run; the folder must have the same.
    Returns: bytes of metrics.jsonl that belong to the checkpoint.
    Raises:  ValueError for a file that is no checkpoint, or a run of another configuration.
    """
    path = None if folder is None else folder / "checkpoint.pt"
    if path is None or not path.exists():
        return 0
    state = load_state(path)
    if not {"description", "buffer", "optimizer", "log"} <= set(state):
        raise ValueError(f"checkpoint: {path} holds {sorted(state)[:5]}, not the state of a run; delete it to start this run anew")
    if state["description"] != json.dumps(description, sort_keys=True):
        was, got = difference(json.loads(state["description"]), json.loads(json.dumps(description)))
        raise ValueError(f"fit: {folder} holds a run of another configuration: {was}, got {got}; choose another folder or delete it")
    restore(loop, state)
    return int(state["log"])


def _check_start(loop: Loop, state: dict[str, Any]) -> None:
    # Checkpoints of early versions do not record the start; their weights tell the dtype.
    start = {"dtype": str(state["buffer"].dtype).removeprefix("torch."), **state.get("start", {})}
    different = [name for name, value in start.items() if value != loop.start[name]]
    # The module that this run has trained in place may be passed again.
    if different == ["initial weights"] and digest(state["buffer"]) == loop.start["initial weights"]:
        loop.start = start
    elif different:
        name = different[0]
        raise ValueError(
            f"checkpoint: expected a run with {name} {loop.start[name]}, got {start[name]}; restore it, choose another folder or delete this one"
        )
