"""On disk: one NetCDF-4 file, or a folder of shards with a manifest. What stands in them, how they are written and read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5netcdf
import numpy as np

from eddygrad.runtime.files import write_atomically

SCHEMA = "eddygrad-dataset/1"
MANIFEST = "manifest.json"
FIX = "delete it and call generate again"
_SIGNATURE = b"\x89HDF\r\n\x1a\n"  # the first bytes of every NetCDF-4 file
RESERVED = ("u", "sample", "time", "channel", "x", "y", "z", "sample_mean", "sample_variance")
# Every file says these; a header may say more (digests of the configuration, the sets of a recipe).
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
    """Samples [start, stop) of a data set in one file; `sha256` is over all that is in it, see `Checksum`, `file_sha256` over all `bytes` of it."""

    file: str
    start: int
    stop: int
    sha256: str
    file_sha256: str
    bytes: int


@dataclass(frozen=True)
class Contents:
    """What a file says of itself, without its states."""

    header: Header
    start: int
    samples: int
    params: dict[str, np.ndarray]  # (samples,), float64
    mean: np.ndarray  # (samples, channel), float64
    variance: np.ndarray
    diagnostics: dict[str, np.ndarray]  # (samples, frames), float64
    sha256: str


def dimensions(ndim: int) -> tuple[str, ...]:
    """Names of the axes of `u`: (sample, time, channel, x[, y[, z]])."""
    return ("sample", "time", "channel", *"xyz"[:ndim])


def canonical(value: Any) -> str:
    """JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_of_arrays(*arrays: np.ndarray) -> str:
    """Digest of shapes, types and bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def sha256_of_file(path: Path) -> str:
    """Digest of every byte."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Checksum:
    """SHA-256 over header, sample numbers, parameters, moments, diagnostics and then the states sample by sample."""

    def __init__(
        self, header: Header, start: int, params: Arrays, mean: np.ndarray, variance: np.ndarray, diagnostics: Arrays = MappingProxyType({})
    ) -> None:
        self._digest = hashlib.sha256(canonical([header, start, sorted(params)]).encode())
        for name in sorted(params):
            self._digest.update(np.ascontiguousarray(params[name], dtype="<f8").data)
        self._digest.update(np.ascontiguousarray(mean, dtype="<f8").data)
        self._digest.update(np.ascontiguousarray(variance, dtype="<f8").data)
        for name in sorted(diagnostics):  # the header names them
            self._digest.update(np.ascontiguousarray(diagnostics[name], dtype="<f8").data)

    def update(self, states: np.ndarray) -> None:
        self._digest.update(np.ascontiguousarray(states, dtype=states.dtype.newbyteorder("<")).data)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def write_shard(
    path: Path, u: np.ndarray, params: Arrays, mean: np.ndarray, variance: np.ndarray, header: Header, start: int,
    diagnostics: Arrays = MappingProxyType({}),
) -> Shard:  # fmt: skip
    """Write samples [start, start + len(u)) with their parameters, moments and diagnostics; nothing in the file depends on the clock."""
    checksum = Checksum(header, start, params, mean, variance, diagnostics)
    for states in u:
        checksum.update(states)
    ndim = u.ndim - 3
    dims = dimensions(ndim)
    variables: dict[str, Any] = {
        "u": (dims, u),
        "sample_mean": (("sample", "channel"), mean),
        "sample_variance": (("sample", "channel"), variance),
    }
    for name, values in params.items():
        variables[name] = (("sample",), np.asarray(values, dtype=np.float64), {"units": header["parameters"][name]})
    for name, values in diagnostics.items():
        variables[name] = (("sample", "time"), np.asarray(values, dtype=np.float64), {"units": header["diagnostics"][name]})
    frame0 = header["warmup"] * header["dt"] / header["stride"]
    coords: dict[str, Any] = {
        "sample": ("sample", np.arange(start, start + len(u))),
        "time": ("time", frame0 + header["dt"] * np.arange(header["frames"])),
        "channel": ("channel", np.array(header["channels"], dtype=object)),
    }
    for axis, n in zip(dims[3:], u.shape[3:]):
        coords[axis] = (axis, np.arange(n) / n, {"long_name": "position as a fraction of the side"})
    attrs = {
        key: value if isinstance(value, (str, int, float)) and not isinstance(value, bool) else canonical(value) for key, value in header.items()
    }
    attrs["json"] = canonical([key for key, value in header.items() if not isinstance(value, (str, int, float)) or isinstance(value, bool)])
    attrs["sha256"] = checksum.hexdigest()
    import xarray as xr  # slow to import, and only writing needs it

    data = xr.Dataset(variables, coords, attrs)
    encoding = {name: {"_FillValue": None} for name in [*variables, "time", *dims[3:]]}
    write_atomically(path, lambda temporary: data.to_netcdf(temporary, engine="h5netcdf", format="NETCDF4", encoding=encoding))
    return Shard(path.name, start, start + len(u), checksum.hexdigest(), sha256_of_file(path), path.stat().st_size)


class DataError(ValueError):
    """A file or manifest that is not what it should be; one line: what, expected, got, fix."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever the libraries below make of damaged bytes becomes one DataError that names the file."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        raise DataError(
            f"{path}: expected a whole {SCHEMA} file, got one that cannot be read ({text}); it is truncated or damaged: "
            "if generate wrote it, delete it and call generate again"
        ) from None


def open_file(path: Path) -> h5netcdf.File:
    """Open for reading.

    Raises: DataError if it is missing, truncated or no NetCDF-4 file.
    """
    if not path.is_file():
        raise DataError(f"{path}: expected a NetCDF-4 file, got nothing there; generate it or correct the path")
    with path.open("rb") as file:
        start = file.read(len(_SIGNATURE))
    if start != _SIGNATURE:
        raise DataError(
            f"{path}: expected an eddygrad data set (NetCDF-4), got a file that begins with {start!r}; "
            "correct the path, or write it with generate or Dataset.save"
        )
    with reading(path):
        return h5netcdf.File(path, "r")


def read_contents(path: Path) -> Contents:
    """Header, parameters, moments and diagnostics of a file.

    Raises: DataError for a wrong schema, missing attributes, wrong dimensions, sizes or types, and for diagnostics that are not finite.
    """
    with open_file(path) as file, reading(path):
        return _contents(file, path)


def _contents(file: h5netcdf.File, path: Path) -> Contents:
    attrs = {key: value.item() if isinstance(value, np.generic) else value for key, value in file.attrs.items()}
    missing = [key for key in (*REQUIRED, "json", "sha256") if key not in attrs]
    if missing:
        raise DataError(f"{path}: expected the attributes of {SCHEMA}, got none of {missing}; write the file with generate or Dataset.save")
    as_json = json.loads(attrs.pop("json"))
    sha256 = str(attrs.pop("sha256"))
    header = {key: json.loads(value) if key in as_json else value for key, value in attrs.items() if key != "_NCProperties"}
    if header["schema"] != SCHEMA:
        raise DataError(f"{path}: expected schema {SCHEMA!r}, got {header['schema']!r}; read it with the version that wrote it")
    _check_dimensions(file, path, header)
    params = {}
    for name in header["parameters"]:
        if name not in file.variables or file.variables[name].dimensions != ("sample",):
            raise DataError(f"{path}: expected the parameter {name!r} with dimension ('sample',), got {sorted(file.variables)}; {FIX}")
        params[name] = np.asarray(file.variables[name][...], dtype=np.float64)
    mean, variance = (np.asarray(file.variables[name][...], dtype=np.float64) for name in ("sample_mean", "sample_variance"))
    numbers = np.asarray(file.variables["sample"][...])
    start = int(numbers[0]) if len(numbers) else 0
    return Contents(header, start, len(numbers), params, mean, variance, _diagnostics(file, path, header, start), sha256)


def _diagnostics(file: h5netcdf.File, path: Path, header: Header, start: int) -> dict[str, np.ndarray]:
    """What the header names under `diagnostics`; a file without that key has none."""
    found = {}
    for name in header.get("diagnostics", ()):
        got = file.variables[name].dimensions if name in file.variables else f"only {sorted(file.variables)}"
        if got != ("sample", "time"):
            raise DataError(f"{path}: expected the diagnostic {name!r} with dimensions ('sample', 'time'), got {got}; {FIX}")
        values = np.asarray(file.variables[name][...], dtype=np.float64)
        if not np.isfinite(values).all():
            sample, frame = np.argwhere(~np.isfinite(values))[0]
            where = f"sample {start + sample}, frame {frame}"
            raise DataError(f"{path}: expected finite numbers of the diagnostic {name!r}, got NaN or Inf, first in {where}; {FIX}")
        found[name] = values
    return found


def _check_dimensions(file: h5netcdf.File, path: Path, header: Header) -> None:
    shape = tuple(header["grid_shape"])
    dims = dimensions(len(shape))
    if "u" not in file.variables or file.variables["u"].dimensions != dims:
        got = file.variables["u"].dimensions if "u" in file.variables else f"only {sorted(file.variables)}"
        raise DataError(f"{path}: expected the variable 'u' with dimensions {dims}, got {got}; transpose or rename them")
    expected = (header["frames"], len(header["channels"]), *shape)
    if tuple(file.variables["u"].shape[1:]) != expected:
        raise DataError(
            f"{path}: expected 'u' of size (samples, {', '.join(map(str, expected))}) as its attributes say, "
            f"got {tuple(file.variables['u'].shape)}; {FIX}"
        )
    if file.variables["u"].dtype != np.dtype(header["dtype"]):
        raise DataError(f"{path}: expected 'u' in {header['dtype']} as its attributes say, got {file.variables['u'].dtype}; {FIX}")


def check_finite(states: np.ndarray, path: Path, sample: int) -> None:
    """Refuse NaN or Inf in one sample (time, channel, *grid), naming where it is."""
    finite = np.isfinite(states)
    if not finite.all():
        frame, channel = np.argwhere(~finite)[0][:2]
        where = f"sample {sample}, frame {frame}, channel {channel}"
        raise DataError(f"{path}: expected finite numbers, got {np.count_nonzero(~finite)} NaN or Inf, first in {where}; {FIX}")


def read_states(path: Path, file_sha256: str | None = None) -> Iterator[np.ndarray]:
    """The states of a file sample by sample (time, channel, *grid); after the last, its checksum and the file's, if given, are compared.

    Raises: DataError if a number is not finite or a checksum differs.
    """
    contents = read_contents(path)
    checksum = Checksum(contents.header, contents.start, contents.params, contents.mean, contents.variance, contents.diagnostics)
    with open_file(path) as file, reading(path):
        for i in range(contents.samples):
            states = np.asarray(file.variables["u"][i])
            check_finite(states, path, contents.start + i)
            checksum.update(states)
            yield states
    _compare(path, "data checksum", contents.sha256, checksum.hexdigest())
    if file_sha256 is not None:
        _compare(path, "file checksum", file_sha256, sha256_of_file(path))


def _compare(path: Path, what: str, expected: str, got: str) -> None:
    if expected != got:
        raise DataError(f"{path}: expected {what} {expected[:12]}, got {got[:12]}; bytes have changed since it was written: {FIX}")
