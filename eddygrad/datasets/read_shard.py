"""Read a file of a data set and check it: header, parameters, moments, diagnostics and states."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5netcdf
import numpy as np

from eddygrad.datasets.format import FIX, REQUIRED, SCHEMA, Checksum, Contents, DataError, Header, dimensions, sha256_of_file

_SIGNATURE = b"\x89HDF\r\n\x1a\n"  # the first bytes of every NetCDF-4 file


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn every error of the libraries that read the file into one DataError.

    Args:   path: the file, named in the message.
    Raises: DataError.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        cause = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        raise DataError(
            f"{path}: expected a whole {SCHEMA} file, got one that cannot be read ({cause}); it is truncated or damaged: "
            "if generate wrote it, delete it and call generate again"
        ) from None


def open_file(path: Path) -> h5netcdf.File:
    """Open a file for reading.

    Raises: DataError if it is missing, truncated or no NetCDF-4 file.
    """
    if not path.is_file():
        raise DataError(f"{path}: expected a NetCDF-4 file, got no file; generate it or correct the path")
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
    """Read header, parameters, moments and diagnostics of a file.

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
    sample_numbers = np.asarray(file.variables["sample"][...])
    start = int(sample_numbers[0]) if len(sample_numbers) else 0
    return Contents(header, start, len(sample_numbers), params, mean, variance, _diagnostics(file, path, header, start), sha256)


def _diagnostics(file: h5netcdf.File, path: Path, header: Header, start: int) -> dict[str, np.ndarray]:
    """Read the diagnostics that the header names; a header without the key "diagnostics" names none."""
    diagnostics = {}
    for name in header.get("diagnostics", ()):
        got = file.variables[name].dimensions if name in file.variables else f"only {sorted(file.variables)}"
        if got != ("sample", "time"):
            raise DataError(f"{path}: expected the diagnostic {name!r} with dimensions ('sample', 'time'), got {got}; {FIX}")
        values = np.asarray(file.variables[name][...], dtype=np.float64)
        if not np.isfinite(values).all():
            sample, frame = np.argwhere(~np.isfinite(values))[0]
            where = f"sample {start + sample}, frame {frame}"
            raise DataError(f"{path}: expected finite numbers of the diagnostic {name!r}, got NaN or Inf, first in {where}; {FIX}")
        diagnostics[name] = values
    return diagnostics


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
    """Raise an error that names the place if the states of a sample hold NaN or Inf.

    Args:
        states: of one sample (time, channel, *grid).
        path:   the file.
        sample: number of the sample in the data set.
    Raises: DataError.
    """
    finite = np.isfinite(states)
    if not finite.all():
        frame, channel = np.argwhere(~finite)[0][:2]
        where = f"sample {sample}, frame {frame}, channel {channel}"
        raise DataError(f"{path}: expected finite numbers, got {np.count_nonzero(~finite)} NaN or Inf, first in {where}; {FIX}")


def read_states(path: Path, file_sha256: str | None = None) -> Iterator[np.ndarray]:
    """Yield the states of a file sample by sample (time, channel, *grid), and compare checksums after the last one.

    Args:
        path:        the file.
        file_sha256: expected digest of the file's bytes; None skips this comparison.
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
    _require_equal(path, "data checksum", contents.sha256, checksum.hexdigest())
    if file_sha256 is not None:
        _require_equal(path, "file checksum", file_sha256, sha256_of_file(path))


def _require_equal(path: Path, what: str, expected: str, got: str) -> None:
    if expected != got:
        raise DataError(f"{path}: expected {what} {expected[:12]}, got {got[:12]}; bytes have changed since it was written: {FIX}")
