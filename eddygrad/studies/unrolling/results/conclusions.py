"""The conclusions of a comparison of unrolling modalities in words: which is best, by how much, at what cost, and whether that is significant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite

import numpy as np

from eddygrad.plotting.html import Verdict
from eddygrad.plotting.style import factor, number
from eddygrad.studies.shared.comparison import Comparison
from eddygrad.studies.shared.statistics import Ratio
from eddygrad.studies.shared.text_tables import count, listed
from eddygrad.studies.unrolling.results.run import UnrollingRun
from eddygrad.studies.unrolling.results.study_results import UnrollingResults

_ENOUGH = 4  # seeds; with fewer an interval is too wide to decide much: with 3 it is exp(+- 2.5 sd) on the log scale


def verdicts(results: UnrollingResults, compared: Sequence[Comparison]) -> list[Verdict]:
    """Return one verdict per group and task, then prediction against correction, then networks against plain solvers.

    Args: results: of a study. compared: its comparisons.
    """
    answers = [_modality(results, results.title(block), runs, compared) for block, runs in results.blocks().items()]
    answers += [_tasks(c) for c in compared if c.kind == "task" and c.paper is not None]
    solver = _solver(results, compared)
    return [*answers, *([solver] if solver else [])]


def _modality(results: UnrollingResults, topic: str, runs: Sequence[UnrollingRun], compared: Sequence[Comparison]) -> Verdict:
    """Compare the modalities of one block."""
    metric = results.metric
    best = min(runs, key=lambda r: r.typical(metric))
    rivals = [(r, c) for r in runs if r is not best and (c := _between(best, r, compared))]
    basis = f"{best.modality} reaches {metric} {number(best.typical(metric))}, the geometric mean over {count(len(best.seeds), 'seed')}."
    if not rivals:
        return Verdict(topic, f"Only {best.short} was run: nothing to compare.", "", (basis, *_sets(best, metric)))
    headline, mark = _winner(best, rivals, fewest_seeds=min(len(r.seeds) for r in runs))
    sentences = [basis, *(_evidence(best, r, c) for r, c in rivals), *_sets(best, metric), *_cost(results, best, runs), *_cheapest(best, rivals)]
    return Verdict(topic, headline, mark, (*sentences, *_rest(best, runs, compared), *_diverged(runs)))


def _winner(best: UnrollingRun, rivals: Sequence[tuple[UnrollingRun, Comparison]], fewest_seeds: int) -> tuple[str, str]:
    """Return headline and mark: whether the best modality differs significantly from all, some or none of the others."""
    beaten = [r.short for r, c in rivals if c.significant]
    undecided = [r.short for r, c in rivals if not c.significant]
    if not undecided:
        return f"{best.short} is best: " + listed([f"{_percent(c)} below {r.short}" for r, c in rivals]) + ".", "significant"
    if beaten:
        return f"{best.short} is lowest: better than {listed(beaten)}, but not shown to differ from {listed(undecided)}.", "partly significant"
    few = f"; {count(fewest_seeds, 'seed')} {'is' if fewest_seeds == 1 else 'are'} too few to decide" if fewest_seeds < _ENOUGH else ""
    return f"No significant winner: {best.short} is lowest, but not shown to differ from {listed(undecided)}{few}.", "not significant"


def _between(first: UnrollingRun, second: UnrollingRun, compared: Sequence[Comparison]) -> Comparison | None:
    """Return the comparison of two runs, inverted if needed so that `first` stands above the line."""
    for c in compared:
        if c.kind == "modality" and (c.first, c.second) == (first.name, second.name):
            return c
        if c.kind == "modality" and (c.second, c.first) == (first.name, second.name):
            r = c.ratio
            inverse = replace(r, ratio=1 / r.ratio, low=1 / r.high, high=1 / r.low, medians=1 / r.medians, sizes=r.sizes[::-1])
            return replace(c, first=c.second, second=c.first, ratio=inverse)
    return None


def _evidence(best: UnrollingRun, rival: UnrollingRun, c: Comparison) -> str:
    r = c.ratio
    if not isfinite(r.low):
        return f"{best.short} / {rival.short} = {factor(r.ratio)}; one seed gives no interval."
    text = f"{best.short} / {rival.short} = {factor(r.ratio)}, 95 % interval {factor(r.low)} to {factor(r.high)}, {_p('Holm p', c.p_holm)}"
    if min(r.sizes) > 5 and (r.p_rank < 1 - r.level) != c.significant:  # five pairs cannot reach .05 by ranks
        text += f" (by ranks, before correction, {_p('p', r.p_rank)})"
    return text + ("." if c.significant else ": not significant.")


def _cost(results: UnrollingResults, best: UnrollingRun, runs: Sequence[UnrollingRun]) -> list[str]:
    base = min((r for r in runs if r.training), key=lambda r: r.training.seconds_per_update if r.training else 0.0)
    if base is best or not (best.training and base.training):
        return [f"{best.short} is also the cheapest to train per update."]
    time = best.training.seconds_per_update / base.training.seconds_per_update if base.training.seconds_per_update else float("nan")
    memory = best.training.graph_memory_mb / base.training.graph_memory_mb if base.training.graph_memory_mb else float("nan")
    parts = [f"{factor(v)} times the {what}" for v, what in ((time, "time per update"), (memory, "graph memory")) if isfinite(v)]
    shared = f", measured while {results.side_by_side} runs shared the machine" if (results.side_by_side or 0) > 1 else ""
    return [f"It costs {listed(parts)} of {base.short}, the cheapest to train{shared}."] if parts else []


def _cheapest(best: UnrollingRun, rivals: Sequence[tuple[UnrollingRun, Comparison]]) -> list[str]:
    """Name the cheapest of the runs not shown to differ from the best, if it diverged no more often, with the interval of its ratio."""
    undecided = {r.name: c for r, c in rivals if not c.significant and r.training and r.diverged_seeds <= best.diverged_seeds}
    choices = [best, *(r for r, _ in rivals if r.name in undecided)]
    pick = min(choices, key=lambda r: r.training.seconds_per_update if r.training else 0.0)
    if pick is best:
        return []
    r = undecided[pick.name].ratio
    known = f"the ratio may lie anywhere in {_ends(r)}, so they are not shown to be equal" if isfinite(r.low) else "one seed shows nothing"
    return [f"Of the modalities not shown to differ from the best, {pick.short} is the cheapest to train; {best.short} / {pick.short}: {known}."]


def _sets(best: UnrollingRun, metric: str) -> list[str]:
    """Name the test set that makes up more than half of the endpoint, if there is one."""
    shares = {name: float(np.mean(share)) for name, share in best.test.shares(metric).items()}
    largest = max(shares, key=lambda name: shares[name])
    if len(shares) < 2 or not shares[largest] > 0.5:
        return []
    return [f"One test set, {largest}, makes up {100 * shares[largest]:.0f}\u00a0% of this error; see By test set for the others."]


def _ends(r: Ratio) -> str:
    return f"{factor(r.low)} to {factor(r.high)}"


def _rest(best: UnrollingRun, runs: Sequence[UnrollingRun], compared: Sequence[Comparison]) -> list[str]:
    """List the significant differences among the runs other than the best."""
    names = {r.name for r in runs} - {best.name}
    others = [c for c in compared if c.kind == "modality" and c.significant and {c.first, c.second} <= names]
    return [f"Also significant: {c.label} = {factor(c.ratio.ratio)} ({_p('Holm p', c.p_holm)})." for c in others]


def _diverged(runs: Sequence[UnrollingRun]) -> list[str]:
    bad = [f"{r.diverged_seeds} of {len(r.seeds)} with {r.short}" for r in runs if r.diverged_seeds]
    seeds = f"Training diverged for {listed(bad)}; these seeds count with the clipped error." if bad else "No training diverged."
    lost = [f"{r.diverged_tests} with {r.short}" for r in runs if sum(r.test.diverged)]
    return [seeds, f"Test trajectories that diverged in the long window: {listed(lost)}."] if lost else [seeds]


def _tasks(c: Comparison) -> Verdict:
    """Compare prediction with correction, beside the paper's ratio."""
    r = c.ratio
    interval = f", 95 % interval {factor(r.low)} to {factor(r.high)}, {_p('Holm p', c.p_holm)}" if isfinite(r.low) else "; one seed gives no interval"
    said = f"Prediction with WIG has {factor(r.ratio)} times the error of correction with NOG"
    headline = f"{said}." if c.significant else f"{said} in the mean, {_undecided(r)}."
    mark = "significant" if c.significant else "not significant"
    label = c.label[:1].upper() + c.label[1:]
    return Verdict(f"Prediction against correction, {c.group}", headline, mark, (f"{label} = {factor(r.ratio)}{interval}.", _paper(c)))


def _paper(c: Comparison) -> str:
    """Say where the paper's ratio lies relative to the interval."""
    r, paper = c.ratio, c.paper or 0.0
    if not isfinite(r.low):
        return f"The paper reports {paper:g} over its systems."
    place = "below" if r.low > paper else "above" if r.high < paper else "inside"
    return f"The paper reports {paper:g} over its systems, which lies {place} the interval."


def _solver(results: UnrollingResults, compared: Sequence[Comparison]) -> Verdict | None:
    """Compare the best model with the best baseline that costs no more at inference, and with the best such one that is not the reference itself."""
    if not results.models or not results.baselines:
        return None
    metric = results.metric
    best = min(results.models, key=lambda r: r.typical(metric))
    topic = "Networks against plain solvers, at equal inference time"
    text = [f"The best network, {best.label} with {best.network_label}: {_speed(best, metric)}."]
    affordable = [b for b in results.baselines if b.test.seconds_per_frame <= best.test.seconds_per_frame]
    affordable.sort(key=lambda b: b.typical(metric))
    if not affordable:
        return Verdict(topic, "No baseline is as cheap as the best network.", "", tuple(text))
    rival = affordable[0]
    text.append(f"The best baseline that costs no more, {rival.name}: {_speed(rival, metric)}.")
    against = next((c for c in compared if c.kind == "baseline" and (c.first, c.second) == (best.name, rival.name)), None)
    if against and rival.typical(metric) >= best.typical(metric):
        return Verdict(topic, *_gain(against), tuple([*text, *_chosen(results)]))
    if against:
        text.append(f"Network / solver = {factor(against.ratio.ratio)}{_interval(against.ratio)}.")
        if not against.significant:
            said = f"The plain solver {rival.name} is no slower; the best network has {factor(against.ratio.ratio)} times its error in the mean"
            return Verdict(topic, f"{said}, {_undecided(against.ratio)}.", "not significant", tuple(text))
    text += _next_baseline(results, best, affordable)
    return Verdict(topic, f"The plain solver wins here: {rival.name} is more accurate and no slower.", "", tuple(text))


def _next_baseline(results: UnrollingResults, best: UnrollingRun, affordable: Sequence[UnrollingRun]) -> list[str]:
    """If the best baseline is the reference itself, say so and compare the best network with the next baseline."""
    inexact = next((b for b in affordable if not results.exact(b)), None)
    if inexact is affordable[0]:
        return []
    text = ["An error so small means that this baseline computes the reference itself."]
    if inexact:
        times = inexact.typical(results.metric) / best.typical(results.metric)
        relation = f"{factor(times)} times the network's error" if times >= 1 else f"the network has {factor(1 / times)} times its error"
        text.append(f"The next, {inexact.name}: {_speed(inexact, results.metric)}; {relation}.")
    return text


def _undecided(r: Ratio) -> str:
    """Say why a difference is not claimed."""
    seeds = min(n for n in r.sizes if n > 1) if max(r.sizes) > 1 else 1
    few = f"but {count(seeds, 'seed')} {'is' if seeds == 1 else 'are'} too few to decide"
    return few if seeds < _ENOUGH else "which is not shown to differ from 1"


def _interval(r: Ratio) -> str:
    return f", 95 % interval {_ends(r)}" if isfinite(r.low) else "; one seed gives no interval"


def _gain(c: Comparison) -> tuple[str, str]:
    """Return headline and mark for the ratio of the network's error to the baseline's, inverted to a gain."""
    r = c.ratio
    ends = f"95 % interval over seeds {factor(1 / r.high)} to {factor(1 / r.low)}" if isfinite(r.low) else "one seed gives no interval"
    if not c.significant:
        gain = f"The best network is {factor(1 / r.ratio)} times more accurate in the mean than the best baseline of its cost"
        return f"{gain}, {_undecided(r)} ({ends}).", "not significant"
    return f"The best network is {factor(1 / r.ratio)} times more accurate than the best baseline of its cost ({ends}).", "significant"


def _chosen(results: UnrollingResults) -> list[str]:
    models = len(results.models)
    return [f"It was chosen among {models} models on these test states, so its gain is an upper estimate."] if models > 1 else []


def _speed(run: UnrollingRun, metric: str) -> str:
    return f"{metric} {number(run.typical(metric))} at {number(run.test.seconds_per_frame * 1e6)} µs per frame of the batch of {run.test.batch}"


def _percent(c: Comparison) -> str:
    return f"{100 * (1 - c.ratio.ratio):.0f}\u00a0%"


def _p(name: str, p: float) -> str:
    return f"{name} < 0.0001" if p < 1e-4 else f"{name} = {p:.2g}"
