"""Manifest of a folder of shards, and `validate`, the check of a whole data set."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from eddygrad.datasets.format import (
    FIX,
    MANIFEST,
    SCHEMA,
    Contents,
    DataError,
    Header,
    Shard,
    canonical,
)
from eddygrad.datasets.normalisation import Normalisation
from eddygrad.datasets.read_shard import read_contents, read_states
from eddygrad.runtime.files import write_atomically


@dataclass(frozen=True)
class Manifest:
    """Contents of a folder of shards.

    Args:
        header:        attributes that all shards share.
        samples:       number of samples of the complete data set.
        shards:        shards written so far.
        normalisation: of all samples; None until the data set is complete.
    """

    header: Header
    samples: int
    shards: tuple[Shard, ...] = field(default=())
    normalisation: Normalisation | None = None

    @property
    def complete(self) -> bool:
        """Whether all samples are written."""
        return sum(s.stop - s.start for s in self.shards) == self.samples

    def write(self, folder: Path) -> None:
        """Write the manifest into a folder, atomically and with a checksum."""
        body = json.loads(json.dumps(asdict(self), allow_nan=False))
        text = json.dumps({**body, "sha256": _digest(body)}, indent=1, sort_keys=True) + "\n"
        write_atomically(folder / MANIFEST, text.encode())

    @staticmethod
    def read(folder: Path) -> Manifest:
        """Read the manifest of a folder.

        Raises: DataError if it is missing, damaged, or of another schema.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise DataError(f"{folder}: expected a data set with {MANIFEST}, got none; call generate on this folder or correct the path")
        try:
            body = json.loads(path.read_text())
            sha256 = body.pop("sha256")
            if sha256 != _digest(body):
                raise TypeError("its checksum differs")
            shards = tuple(Shard(**s) for s in body["shards"])
            pair = body["normalisation"]
            normalisation = None if pair is None else Normalisation(tuple(pair["mean"]), tuple(pair["std"]))
            manifest = Manifest(body["header"], body["samples"], shards, normalisation)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: expected a whole manifest, got a damaged one ({error}); delete the folder and call generate again") from None
        if manifest.header.get("schema") != SCHEMA:
            raise DataError(f"{path}: expected schema {SCHEMA!r}, got {manifest.header.get('schema')!r}; read it with the version that wrote it")
        return manifest


def _digest(body: object) -> str:
    return hashlib.sha256(canonical(body).encode()).hexdigest()


@dataclass(frozen=True)
class Source:
    """A data set on disk whose headers have been read.

    Args:
        files:       its files, in the order of samples.
        contents:    of each file.
        file_sha256: digest of each file's bytes from the manifest; None for a data set of a single file.
    """

    files: tuple[Path, ...]
    contents: tuple[Contents, ...]
    file_sha256: tuple[str | None, ...]

    @property
    def header(self) -> Header:
        """Header of the first file."""
        return self.contents[0].header

    @property
    def samples(self) -> int:
        """Number of samples in all files."""
        return sum(c.samples for c in self.contents)


def find_source(path: str | Path) -> Source:
    """Find the files of a data set and read their headers.

    Args:   path: a file or a folder of shards.
    Raises: DataError if the data set is incomplete, truncated, or its files do not belong together.
    """
    path = Path(path)
    if not path.is_dir():
        return Source((path,), (read_contents(path),), (None,))
    manifest = Manifest.read(path)
    _check_shards(path, manifest)
    files = tuple(path / s.file for s in manifest.shards)
    contents = tuple(read_contents(f) for f in files)
    for file, shard, held in zip(files, manifest.shards, contents):
        if (held.start, held.samples) != (shard.start, shard.stop - shard.start) or held.sha256 != shard.sha256 or held.header != manifest.header:
            raise DataError(
                f"{file}: expected samples {shard.start} to {shard.stop} with the manifest's header and checksum, got another shard; {FIX}"
            )
    return Source(files, contents, tuple(s.file_sha256 for s in manifest.shards))


def _check_shards(folder: Path, manifest: Manifest) -> None:
    written = sum(s.stop - s.start for s in manifest.shards)
    if not manifest.complete:
        raise DataError(
            f"{folder}: expected {manifest.samples} samples, got a manifest with {written}; generation was interrupted: repeat the call to continue"
        )
    position = 0
    for shard in manifest.shards:
        file = folder / shard.file
        if shard.start != position:
            raise DataError(f"{folder}: expected the shard that starts at sample {position}, got {shard.start}; the manifest misses an entry: {FIX}")
        position = shard.stop
        if not file.is_file():
            raise DataError(
                f"{file}: expected a shard of samples {shard.start} to {shard.stop}, got no file; call generate again, it makes what is missing"
            )
        if file.stat().st_size != shard.bytes:
            raise DataError(f"{file}: expected {shard.bytes} bytes, got {file.stat().st_size}; the shard is truncated: {FIX}")


def validate(path: str | Path) -> Source:
    """Read a whole data set and check it.

    Errors are: a missing or incomplete manifest, a truncated shard, a changed byte, a wrong dimension, size or dtype, NaN or Inf, and a missing
    attribute.

    Args:    path: a file or a folder of shards.
    Returns: the files and headers of a valid data set.
    Raises:  DataError (a ValueError) with a message of one line: path, expected, got, fix.
    """
    source = find_source(path)
    for file, sha256 in zip(source.files, source.file_sha256):
        for _ in read_states(file, sha256):
            pass
    return source
