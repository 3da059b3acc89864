"""Scratch buffers are those of their thread and mode; recomputation changes memory, not the gradient."""

from __future__ import annotations

import threading

import torch

from eddygrad.runtime.memory import ordinary_tensors, recomputed, workspace


def test_a_buffer_comes_again_by_name_shape_and_thread() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    first = workspace("test", (2, 3), like)
    assert workspace("test", (2, 3), like) is first and workspace("other", (2, 3), like) is not first
    assert first.whole.dtype == like.dtype and [part.shape for part in first.parts] == [(3,), (3,)]
    with torch.inference_mode():
        assert workspace("test", (2, 3), like) is not first
    others = []
    thread = threading.Thread(target=lambda: others.append(workspace("test", (2, 3), like)))
    thread.start()
    thread.join()
    assert others[0] is not first


def test_few_buffers_are_kept() -> None:
    first = workspace("kept", (4,), torch.zeros(1))
    for n in range(8):
        workspace(f"filler {n}", (4,), torch.zeros(1))
    assert workspace("kept", (4,), torch.zeros(1)) is not first


def test_recomputation_has_the_same_gradient_and_runs_twice() -> None:
    calls = []

    def fn(u: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return u.sin().exp()

    u = torch.linspace(0, 1, 5, dtype=torch.float64, requires_grad=True)
    (plain,) = torch.autograd.grad(fn(u).sum(), u)
    calls.clear()
    (again,) = torch.autograd.grad(recomputed(fn, u).sum(), u)
    assert torch.equal(plain, again) and len(calls) == 2


def test_ordinary_tensors_may_be_trained_even_if_made_in_inference_mode() -> None:
    with torch.inference_mode():
        with ordinary_tensors():
            kept = torch.ones(2)
        assert torch.ones(2).is_inference() and not kept.is_inference()
    assert not kept.requires_grad and (kept.requires_grad_() * 2).sum().requires_grad
