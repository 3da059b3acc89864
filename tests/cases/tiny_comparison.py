"""The smallest comparison of unrolling modalities: four runs of six updates."""

from eddygrad.studies.unrolling.config import UnrollingConfiguration

TINY = UnrollingConfiguration(
    name="tiny",
    tasks=("correct", "predict"),
    unroll=("one", "nog:2"),
    width=2,
    depth=1,
    seeds=2,
    steps=6,
    batch=2,
    lr=(1e-3, 3e-3),
    tune_steps=2,
    tune_seeds=1,
    frames=24,
    starts=1,
    horizon=3,
    long_horizon=5,
    validate_every=3,
    checkpoint_every=2,
)
RUNS = ["correct-nog2-w2d1", "correct-one-w2d1", "predict-nog2-w2d1", "predict-one-w2d1"]
