"""The manifest of a folder of shards, and the check of a whole data set."""

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
    read_contents,
    read_states,
)
from eddygrad.datasets.normalisation import Normalisation
from eddygrad.runtime.files import write_atomically


@dataclass(frozen=True)
class Manifest:
    """What a folder of shards holds: the header that all shards share, the samples promised, the shards written so far.

    `normalisation` is there when the data set is complete.
    """

    header: Header
    samples: int
    shards: tuple[Shard, ...] = field(default=())
    normalisation: Normalisation | None = None

    @property
    def complete(self) -> bool:
        return sum(s.stop - s.start for s in self.shards) == self.samples

    def write(self, folder: Path) -> None:
        """Atomically, with a checksum of its own."""
        body = json.loads(json.dumps(asdict(self), allow_nan=False))
        text = json.dumps({**body, "sha256": _digest(body)}, indent=1, sort_keys=True) + "\n"
        write_atomically(folder / MANIFEST, text.encode())

    @staticmethod
    def read(folder: Path) -> Manifest:
        """Raises: DataError if there is none, it is damaged, or of another schema."""
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
    """A data set on disk whose headers have been read: its files in order of samples, and what each says."""

    files: tuple[Path, ...]
    contents: tuple[Contents, ...]
    file_sha256: tuple[str | None, ...]  # as the manifest has it; a single file has none

    @property
    def header(self) -> Header:
        return self.contents[0].header

    @property
    def samples(self) -> int:
        return sum(c.samples for c in self.contents)


def source(path: str | Path) -> Source:
    """Find the files of a data set and read their headers; refuses what is incomplete, truncated or does not fit together."""
    path = Path(path)
    if not path.is_dir():
        return Source((path,), (read_contents(path),), (None,))
    manifest = Manifest.read(path)
    _check_shards(path, manifest)
    files = tuple(path / s.file for s in manifest.shards)
    contents = tuple(read_contents(f) for f in files)
    for file, shard, found in zip(files, manifest.shards, contents):
        if (found.start, found.samples) != (shard.start, shard.stop - shard.start) or found.sha256 != shard.sha256 or found.header != manifest.header:
            raise DataError(
                f"{file}: expected samples {shard.start} to {shard.stop} with the manifest's header and checksum, got another shard; {FIX}"
            )
    return Source(files, contents, tuple(s.file_sha256 for s in manifest.shards))


def _check_shards(folder: Path, manifest: Manifest) -> None:
    have = sum(s.stop - s.start for s in manifest.shards)
    if not manifest.complete:
        raise DataError(
            f"{folder}: expected {manifest.samples} samples, got a manifest with {have}; generation was interrupted: call it again, it continues"
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
    """Read everything and refuse a bad data set in one line that says what, expected, got and the fix.

    Found are: a missing or incomplete manifest, a truncated shard, a changed byte, a wrong dimension, size or type, NaN or Inf, a missing attribute.

    Returns: what was read, if all is well.
    Raises:  DataError, a ValueError.
    """
    found = source(path)
    for file, sha256 in zip(found.files, found.file_sha256):
        for _ in read_states(file, sha256):
            pass
    return found
