"""Data sets: file format, generation, training windows, normalisation, and recipes of published set-ups."""

from eddygrad.datasets.dataset import Dataset, Split, open
from eddygrad.datasets.frame_diagnostics import FlowDiagnostics
from eddygrad.datasets.generate import generate
from eddygrad.datasets.manifest import validate
from eddygrad.datasets.normalisation import Normalisation
from eddygrad.datasets.windows import WindowBatches, window_count

__all__ = ["Dataset", "FlowDiagnostics", "Normalisation", "Split", "WindowBatches", "generate", "open", "validate", "window_count"]
