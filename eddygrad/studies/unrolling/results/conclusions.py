"""The answer of a study in words, computed from its numbers: which modality is best, by how much, at what cost, and is it significant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np

from eddygrad.plotting.style import factor, number
from eddygrad.studies.shared.statistics import Ratio
from eddygrad.studies.shared.text_tables import count, listed
from eddygrad.studies.unrolling.results.run import TASKS, Run
from eddygrad.studies.unrolling.results.tables import Comparison, Study

_ENOUGH = 4  # seeds, below which an interval is too wide to tell much: with 3 it is exp(+- 2.5 sd) on the log scale


@dataclass(frozen=True)
class Verdict:
    """What to say about one question: a headline, "significant", "partly significant", "not significant" or "", and sentences that support it."""

    topic: str
    headline: str
    mark: str
    sentences: tuple[str, ...]


def verdicts(study: Study, found: Sequence[Comparison]) -> list[Verdict]:
    """One verdict per group and task, then prediction against correction, then networks against plain solvers."""
    answers = [_modality(study, group, task, runs, found) for (group, task), runs in study.cells().items()]
    answers += [_tasks(c) for c in found if c.kind == "task" and c.paper is not None]
    solver = _solver(study, found)
    return [*answers, *([solver] if solver else [])]


def _modality(study: Study, group: str, task: str, runs: Sequence[Run], found: Sequence[Comparison]) -> Verdict:
    topic = f"{TASKS.get(task, task).capitalize()}, {group}"
    best = min(runs, key=lambda r: r.typical(study.metric))
    rivals = [(r, c) for r in runs if r is not best and (c := _between(best, r, found))]
    basis = f"{best.modality} reaches {study.metric} {number(best.typical(study.metric))}, the geometric mean over {count(len(best.seeds), 'seed')}."
    if not rivals:
        return Verdict(topic, f"Only {_name(best)} was run: nothing to compare.", "", (basis, *_sets(best, study.metric)))
    beaten = [_name(r) for r, c in rivals if c.significant]
    open_ = [r for r, c in rivals if not c.significant]
    others = listed([_name(r) for r in open_]) if open_ else ""
    if not open_:
        mark, headline = "significant", f"{_name(best)} is best: " + listed([f"{_percent(c)} below {_name(r)}" for r, c in rivals]) + "."
    elif beaten:
        mark, headline = "partly significant", f"{_name(best)} is lowest: better than {listed(beaten)}, but not shown to differ from {others}."
    else:
        few = min(len(r.seeds) for r in runs)
        why = f"; {count(few, 'seed')} {'is' if few == 1 else 'are'} too few to tell" if few < _ENOUGH else ""
        mark, headline = "not significant", f"No significant winner: {_name(best)} is lowest, but not shown to differ from {others}{why}."
    sentences = [basis, *(_evidence(best, r, c) for r, c in rivals), *_sets(best, study.metric), *_cost(study, best, runs), *_cheapest(best, rivals)]
    return Verdict(topic, headline, mark, (*sentences, *_rest(best, runs, found), *_diverged(runs)))


def _between(first: Run, second: Run, found: Sequence[Comparison]) -> Comparison | None:
    """The comparison of these two, turned so that `first` stands above the line."""
    for c in found:
        if c.kind == "modality" and (c.first, c.second) == (first.name, second.name):
            return c
        if c.kind == "modality" and (c.second, c.first) == (first.name, second.name):
            r = c.ratio
            turned = replace(r, ratio=1 / r.ratio, low=1 / r.high, high=1 / r.low, medians=1 / r.medians, sizes=r.sizes[::-1])
            return replace(c, first=c.second, second=c.first, ratio=turned)
    return None


def _evidence(best: Run, rival: Run, c: Comparison) -> str:
    r = c.ratio
    if not isfinite(r.low):
        return f"{_name(best)} / {_name(rival)} = {factor(r.ratio)}; one seed gives no interval."
    text = f"{_name(best)} / {_name(rival)} = {factor(r.ratio)}, 95 % interval {factor(r.low)} to {factor(r.high)}, {_p('Holm p', c.p_holm)}"
    if min(r.sizes) > 5 and (r.p_rank < 1 - r.level) != c.significant:  # five pairs cannot reach .05 by ranks
        text += f" (by ranks, before correction, {_p('p', r.p_rank)})"
    return text + ("." if c.significant else ": not significant.")


def _cost(study: Study, best: Run, runs: Sequence[Run]) -> list[str]:
    base = min((r for r in runs if r.training), key=lambda r: r.training.seconds_per_update if r.training else 0.0)
    if base is best or not (best.training and base.training):
        return [f"{_name(best)} is also the cheapest to train per update."]
    time = best.training.seconds_per_update / base.training.seconds_per_update if base.training.seconds_per_update else float("nan")
    memory = best.training.graph_memory_mb / base.training.graph_memory_mb if base.training.graph_memory_mb else float("nan")
    parts = [f"{factor(v)} times the {what}" for v, what in ((time, "time per update"), (memory, "graph memory")) if isfinite(v)]
    shared = f", measured while {study.side_by_side} runs shared the machine" if (study.side_by_side or 0) > 1 else ""
    return [f"It costs {listed(parts)} of {_name(base)}, the cheapest to train{shared}."] if parts else []


def _cheapest(best: Run, rivals: Sequence[tuple[Run, Comparison]]) -> list[str]:
    """The cheapest among those not shown to differ from the best, if it diverged no more often, and what the interval leaves open."""
    open_ = {r.name: c for r, c in rivals if not c.significant and r.training and r.diverged_seeds <= best.diverged_seeds}
    choices = [best, *(r for r, _ in rivals if r.name in open_)]
    pick = min(choices, key=lambda r: r.training.seconds_per_update if r.training else 0.0)
    if pick is best:
        return []
    r = open_[pick.name].ratio
    left = f"the interval, {_ends(r)}, is what that leaves open; it does not show them equal" if isfinite(r.low) else "one seed shows nothing"
    return [f"Of those not shown to differ from the best, {_name(pick)} is the cheapest to train; {_name(best)} / {_name(pick)}: {left}."]


def _sets(best: Run, metric: str) -> list[str]:
    """Which test set decides, where one makes more than half of the endpoint."""
    shares = {name: float(np.mean(share)) for name, share in best.test.shares(metric).items()}
    largest = max(shares, key=lambda name: shares[name])
    if len(shares) < 2 or not shares[largest] > 0.5:
        return []
    return [f"One test set, {largest}, makes {100 * shares[largest]:.0f}\u00a0% of this error; the others are under By test set."]


def _ends(r: Ratio) -> str:
    return f"{factor(r.low)} to {factor(r.high)}"


def _rest(best: Run, runs: Sequence[Run], found: Sequence[Comparison]) -> list[str]:
    """Significant differences among the others."""
    names = {r.name for r in runs} - {best.name}
    others = [c for c in found if c.kind == "modality" and c.significant and {c.first, c.second} <= names]
    return [f"Also significant: {c.label} = {factor(c.ratio.ratio)} ({_p('Holm p', c.p_holm)})." for c in others]


def _diverged(runs: Sequence[Run]) -> list[str]:
    bad = [f"{r.diverged_seeds} of {len(r.seeds)} with {_name(r)}" for r in runs if r.diverged_seeds]
    seeds = f"Training diverged for {listed(bad)}; these count with the clipped error." if bad else "No training diverged."
    lost = [f"{r.diverged_tests} with {_name(r)}" for r in runs if sum(r.test.diverged)]
    return [seeds, f"Test trajectories that diverge in the long window: {listed(lost)}."] if lost else [seeds]


def _tasks(c: Comparison) -> Verdict:
    r = c.ratio
    interval = f", 95 % interval {factor(r.low)} to {factor(r.high)}, {_p('Holm p', c.p_holm)}" if isfinite(r.low) else "; one seed gives no interval"
    told = f"Prediction with WIG has {factor(r.ratio)} times the error of correction with NOG."
    headline = told if c.significant else f"{told.removesuffix('.')} in the mean, {_open(r)}."
    where = "above" if isfinite(r.low) and c.paper and r.low > c.paper else "below" if isfinite(r.low) and c.paper and r.high < c.paper else "inside"
    agreement = {"inside": "lies inside the interval", "above": "lies below the interval", "below": "lies above the interval"}[where]
    paper = (
        f"The paper reports {c.paper:g} over its systems, which {agreement}."
        if isfinite(r.low)
        else f"The paper reports {c.paper:g} over its systems."
    )
    mark = "significant" if c.significant else "not significant"
    label = c.label[:1].upper() + c.label[1:]
    return Verdict(f"Prediction against correction, {c.group}", headline, mark, (f"{label} = {factor(r.ratio)}{interval}.", paper))


def _solver(study: Study, found: Sequence[Comparison]) -> Verdict | None:
    """The best model against the best baselines that cost no more at inference: the best of all, and the best that is not the reference itself."""
    if not study.models or not study.baselines:
        return None
    best = min(study.models, key=lambda r: r.typical(study.metric))
    topic = "Networks against plain solvers, at equal inference time"
    text = [f"The best network, {best.label} with {best.network_label}: {_speed(best, study.metric)}."]
    affordable = [b for b in study.baselines if b.test.seconds_per_frame <= best.test.seconds_per_frame]
    affordable.sort(key=lambda b: b.typical(study.metric))
    if not affordable:
        return Verdict(topic, "No baseline is as cheap as the best network.", "", tuple(text))
    rival = affordable[0]
    error, least = best.typical(study.metric), rival.typical(study.metric)
    text.append(f"The best baseline that costs no more, {rival.name}: {_speed(rival, study.metric)}.")
    against = next((c for c in found if c.kind == "baseline" and (c.first, c.second) == (best.name, rival.name)), None)
    if against and least >= error:
        return Verdict(topic, *_gain(against), tuple([*text, *_chosen(study)]))
    if against and not against.significant:
        told = f"The plain solver {rival.name} is no slower; the best network has {factor(against.ratio.ratio)} times its error in the mean, "
        told += f"{_open(against.ratio)}."
        return Verdict(topic, told, "not significant", (*text, f"Network / solver = {factor(against.ratio.ratio)}{_interval(against.ratio)}."))
    if against:
        text.append(f"Network / solver = {factor(against.ratio.ratio)}{_interval(against.ratio)}.")
    inexact = next((b for b in affordable if not study.exact(b)), None)
    if inexact is not rival:
        text.append("An error so small means that it computes the reference itself.")
        if inexact:
            times = inexact.typical(study.metric) / error
            beside = f"{factor(times)} times the network's error" if times >= 1 else f"the network has {factor(1 / times)} times its error"
            text.append(f"The next, {inexact.name}: {_speed(inexact, study.metric)}; {beside}.")
    return Verdict(topic, f"The plain solver wins here: {rival.name} is more accurate and no slower.", "", tuple(text))


def _open(r: Ratio) -> str:
    """Why a difference is not claimed."""
    seeds = min(n for n in r.sizes if n > 1) if max(r.sizes) > 1 else 1
    few = f"but {count(seeds, 'seed')} {'is' if seeds == 1 else 'are'} too few to tell"
    return few if seeds < _ENOUGH else "which is not shown to differ from 1"


def _interval(r: Ratio) -> str:
    return f", 95 % interval {_ends(r)}" if isfinite(r.low) else "; one seed gives no interval"


def _gain(c: Comparison) -> tuple[str, str]:
    """Headline and mark for the network's error over the baseline's, turned into a gain."""
    r = c.ratio
    ends = f"95 % interval over seeds {factor(1 / r.high)} to {factor(1 / r.low)}" if isfinite(r.low) else "one seed gives no interval"
    if not c.significant:
        return (
            f"The best network is {factor(1 / r.ratio)} times more accurate in the mean than the best baseline of its cost, {_open(r)} ({ends}).",
            "not significant",
        )
    return f"The best network is {factor(1 / r.ratio)} times more accurate than the best baseline of its cost ({ends}).", "significant"


def _chosen(study: Study) -> list[str]:
    count = len(study.models)
    return [f"It was chosen among {count} models on these test states, so its gain is an upper estimate."] if count > 1 else []


def _speed(run: Run, metric: str) -> str:
    return f"{metric} {number(run.typical(metric))} at {number(run.test.seconds_per_frame * 1e6)} µs per frame of the batch of {run.test.batch}"


def _name(run: Run) -> str:
    return f"{run.modality} {run.reach}".strip()


def _percent(c: Comparison) -> str:
    return f"{100 * (1 - c.ratio.ratio):.0f}\u00a0%"


def _p(name: str, p: float) -> str:
    return f"{name} < 0.0001" if p < 1e-4 else f"{name} = {p:.2g}"
