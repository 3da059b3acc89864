"""Training windows are a pure function of (step, horizon), compared with naive slicing."""

from collections import Counter

import pytest
import torch

from eddygrad.datasets import Dataset
from eddygrad.runtime.randomness import generator

SAMPLES, FRAMES, N = 5, 11, 4


def numbered(device_dtype=torch.float64):
    """Return data in which each value identifies its place: u[s, t, 0, i] = 1000 s + t + i / 10."""
    s, t, i = torch.meshgrid(torch.arange(SAMPLES), torch.arange(FRAMES), torch.arange(N), indexing="ij")
    u = (1000 * s + t + i / 10).to(device_dtype).unsqueeze(2)
    return Dataset.from_tensor(u, {"length": 10.0 + torch.arange(SAMPLES, dtype=torch.float64)}, dt=0.5)


@pytest.mark.parametrize("horizon,stride", [(0, 1), (1, 1), (3, 1), (10, 1), (2, 3)])
def test_batch_equals_naive_slicing(horizon, stride):
    data = numbered()
    batch_at = data.batches(7, [4, 9], stride=stride)
    starts = FRAMES - horizon * stride
    total = SAMPLES * starts
    for step in (0, 1, 5, 13):
        window = batch_at(step, horizon)
        assert window.u.shape == (2, 7, horizon + 1, 1, N) and window.params["length"].shape == (2, 7, 1, 1)
        for row, seed in enumerate((4, 9)):
            for b in range(7):
                epoch, place = divmod(step * 7 + b, total)
                w = torch.randperm(total, generator=generator(seed, "batch", epoch))[place].item()
                sample, start = divmod(w, starts)
                expected = torch.stack([data.store.flat[sample * FRAMES + start + j * stride] for j in range(horizon + 1)])
                assert torch.equal(window.u[row, b, :, 0], expected)
                assert window.params["length"][row, b].item() == 10 + sample


def test_same_step_and_horizon_give_the_same_bits_in_any_order():
    data = numbered()
    once = data.batches(6, [0, 1])
    calls = [(s, h) for s in (0, 30, 3, 11, 2) for h in (1, 4)]
    first = {c: once(*c).u for c in calls}
    again = data.batches(6, [0, 1])
    for c in reversed(calls):
        assert torch.equal(again(*c).u, first[c]) and torch.equal(once(*c).u, first[c])


@pytest.mark.parametrize("batch", [1, 4, 64])  # 64 spans more than an epoch
def test_every_window_is_drawn_once_per_epoch(batch):
    data, horizon = numbered(), 2
    total = SAMPLES * (FRAMES - horizon)
    epochs = batch  # so that a whole number of batches ends with an epoch
    batch_at = data.batches(batch, [7])
    drawn = torch.cat([batch_at(step, horizon).u[0, :, 0, 0, 0] for step in range(total * epochs // batch)])
    everything = {1000 * s + t for s in range(SAMPLES) for t in range(FRAMES - horizon)}
    orders = []
    for epoch in drawn.split(total):
        assert Counter(epoch.tolist()) == Counter(everything)
        orders.append(tuple(epoch.tolist()))
    assert len(set(orders)) == len(orders)  # each epoch in another order


def test_stacked_entry_is_the_batch_of_that_seed_alone():
    data = numbered().to(dtype=torch.float32)
    stacked = data.batches(5, [3, 0, 8])
    for step in (0, 9, 10, 27):
        window = stacked(step, 1)
        for i, seed in enumerate((3, 0, 8)):
            single = data.batches(5, [seed])(step, 1)
            assert torch.equal(data.batches(5, seed)(step, 1).u, single.u[0])
            assert torch.equal(window.u[i], single.u[0]) and torch.equal(window.params["length"][i], single.params["length"][0])
        plain = data.batches(5)(step, 1)
        assert plain.u.shape == (5, 2, 1, N) and torch.equal(plain.u, window.u[1])
        assert plain.params["length"].dtype == torch.float64 and plain.params["length"].shape == (5, 1, 1)
    assert not torch.equal(window.u[0], window.u[1])


def test_windows_stay_inside_selection_and_part():
    part = numbered().select([4, 1]).take(0.5)
    assert part.frames == 6
    window = part.batches(40, [0])(0, 2)
    samples, frames = (window.u[0, :, :, 0, 0] // 1000).unique().tolist(), (window.u[0, :, :, 0, 0] % 1000).unique().tolist()
    assert samples == [1, 4] and frames == [0, 1, 2, 3, 4, 5]
    assert torch.equal(window.params["length"][0, :, 0, 0], 10 + window.u[0, :, 0, 0, 0] // 1000)


def test_evaluation_windows_are_every_sample_from_each_start():
    data = numbered()
    window = data.windows(3, [0, 7])
    assert torch.equal(window.u.reshape(SAMPLES, 2, 4, 1, N), torch.stack([data.all()[:, 0:4], data.all()[:, 7:11]], 1))
    assert window.params["length"].flatten().tolist() == [10, 10, 11, 11, 12, 12, 13, 13, 14, 14]
    with pytest.raises(ValueError, match=r"starts must be in 0 \.\. 7"):
        data.windows(3, [8])


@pytest.mark.parametrize("horizon,stride", [(11, 1), (4, 3), (-1, 1)])
def test_impossible_horizon_is_one_line(horizon, stride):
    with pytest.raises(ValueError, match="horizon") as caught:
        numbered().batches(2, [0], stride=stride)(0, horizon)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("arguments,text", [((0, [1]), "batch must be"), ((2, []), "seeds must be")])
def test_bad_arguments_are_named(arguments, text):
    with pytest.raises(ValueError, match=text):
        numbered().batches(*arguments)
