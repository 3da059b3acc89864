"""Layout of a data set on disk: one NetCDF-4 file, or a folder of such files (shards) with a manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from eddygrad.runtime.files import write_atomically

SCHEMA = "eddygrad-dataset/1"
MANIFEST = "manifest.json"
FIX = "delete it and call generate again"
RESERVED = ("u", "sample", "time", "channel", "x", "y", "z", "sample_mean", "sample_variance")
# Attributes that every file has; a header may have more, e.g. digests of the configuration or the groups of a recipe.
REQUIRED = (
    "schema",
    "pde",
    "stepper",
    "dt",
    "stride",
    "warmup",
    "seed",
    "eddygrad",
    "grid_shape",
    "grid_length",
    "channels",
    "parameters",
    "frames",
    "dtype",
)

Header = dict[str, Any]
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Shard:
    """Entry of the manifest: samples [start, stop) of a data set in one file.

    Args:
        file:        name of the file in the folder.
        start, stop: range of samples.
        sha256:      digest of the data, see `Checksum`.
        file_sha256: digest of the file's bytes.
        bytes:       size of the file.
    """

    file: str
    start: int
    stop: int
    sha256: str
    file_sha256: str
    bytes: int


@dataclass(frozen=True)
class Contents:
    """Contents of a file without its states.

    Args:
        header:      attributes of the file.
        start:       number of its first sample in the data set.
        samples:     number of samples.
        params:      name -> (samples,), float64.
        mean:        of each sample and channel (samples, channel), float64.
        variance:    of each sample and channel (samples, channel), float64.
        diagnostics: name -> (samples, frames), float64.
        sha256:      digest of the data, see `Checksum`.
    """

    header: Header
    start: int
    samples: int
    params: dict[str, np.ndarray]
    mean: np.ndarray
    variance: np.ndarray
    diagnostics: dict[str, np.ndarray]
    sha256: str


def dimensions(ndim: int) -> tuple[str, ...]:
    """Return the names of the axes of `u`: (sample, time, channel, x[, y[, z]])."""
    return ("sample", "time", "channel", *"xyz"[:ndim])


def canonical(value: Any) -> str:
    """Return JSON text that is equal for equal values: keys sorted, no white space, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_of_arrays(*arrays: np.ndarray) -> str:
    """Return the digest of shapes, dtypes and bytes of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Checksum:
    """SHA-256 of header, first sample number, parameters, moments, diagnostics, and then of the states, sample by sample.

    Args:
        header:         attributes of the file.
        start:          number of the first sample.
        params:         name -> (samples,).
        mean, variance: moments (samples, channel).
        diagnostics:    name -> (samples, frames).
    """

    def __init__(
        self, header: Header, start: int, params: Arrays, mean: np.ndarray, variance: np.ndarray, diagnostics: Arrays = MappingProxyType({})
    ) -> None:
        self._digest = hashlib.sha256(canonical([header, start, sorted(params)]).encode())
        for name in sorted(params):
            self._digest.update(np.ascontiguousarray(params[name], dtype="<f8").data)
        self._digest.update(np.ascontiguousarray(mean, dtype="<f8").data)
        self._digest.update(np.ascontiguousarray(variance, dtype="<f8").data)
        for name in sorted(diagnostics):
            self._digest.update(np.ascontiguousarray(diagnostics[name], dtype="<f8").data)

    def update(self, states: np.ndarray) -> None:
        """Add the states of the next sample (time, channel, *grid)."""
        self._digest.update(np.ascontiguousarray(states, dtype=states.dtype.newbyteorder("<")).data)

    def hexdigest(self) -> str:
        """Return the digest of all that was added."""
        return self._digest.hexdigest()


class DataError(ValueError):
    """A file or manifest is missing, damaged or incomplete. The message is one line: path, expected, got, fix."""


def write_shard(
    path: Path, u: np.ndarray, params: Arrays, mean: np.ndarray, variance: np.ndarray, header: Header, start: int,
    diagnostics: Arrays = MappingProxyType({}),
) -> Shard:  # fmt: skip
    """Write samples [start, start + len(u)) as one file, atomically; its bytes do not depend on the date.

    Args:
        path:           the file.
        u:              states (samples, time, channel, *grid).
        params:         name -> (samples,).
        mean, variance: moments (samples, channel).
        header:         attributes of the file.
        start:          number of the first sample in the data set.
        diagnostics:    name -> (samples, frames).
    Returns: the entry for the manifest.
    """
    checksum = Checksum(header, start, params, mean, variance, diagnostics)
    for states in u:
        checksum.update(states)
    axes = dimensions(u.ndim - 3)
    variables: dict[str, Any] = {
        "u": (axes, u),
        "sample_mean": (("sample", "channel"), mean),
        "sample_variance": (("sample", "channel"), variance),
    }
    for name, values in params.items():
        variables[name] = (("sample",), np.asarray(values, dtype=np.float64), {"units": header["parameters"][name]})
    for name, values in diagnostics.items():
        variables[name] = (("sample", "time"), np.asarray(values, dtype=np.float64), {"units": header["diagnostics"][name]})
    import xarray as xr  # slow to import, and only writing needs it

    data = xr.Dataset(variables, _coordinates(header, start, u.shape), {**_netcdf_attributes(header), "sha256": checksum.hexdigest()})
    encoding = {name: {"_FillValue": None} for name in [*variables, "time", *axes[3:]]}
    write_atomically(path, lambda temporary: data.to_netcdf(temporary, engine="h5netcdf", format="NETCDF4", encoding=encoding))
    return Shard(path.name, start, start + len(u), checksum.hexdigest(), sha256_of_file(path), path.stat().st_size)


def _coordinates(header: Header, start: int, shape: tuple[int, ...]) -> dict[str, Any]:
    """Coordinate variables of states of `shape`: sample, time [s], channel, and positions as fractions of the side."""
    first_time = header["warmup"] * header["dt"] / header["stride"]
    coordinates: dict[str, Any] = {
        "sample": ("sample", np.arange(start, start + shape[0])),
        "time": ("time", first_time + header["dt"] * np.arange(header["frames"])),
        "channel": ("channel", np.array(header["channels"], dtype=object)),
    }
    for axis, n in zip(dimensions(len(shape) - 3)[3:], shape[3:]):
        coordinates[axis] = (axis, np.arange(n) / n, {"long_name": "position as a fraction of the side"})
    return coordinates


def _netcdf_attributes(header: Header) -> dict[str, Any]:
    """The header as NetCDF attributes; values that NetCDF cannot hold become JSON text, and "json" lists their names."""
    native = {key: isinstance(value, (str, int, float)) and not isinstance(value, bool) for key, value in header.items()}
    attributes = {key: value if native[key] else canonical(value) for key, value in header.items()}
    return {**attributes, "json": canonical([key for key in header if not native[key]])}
