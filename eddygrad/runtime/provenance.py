"""Which code made a number: a digest of the package's source, and the commit where there is one."""

from __future__ import annotations

import hashlib
import subprocess
from functools import lru_cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def _source_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(str(path.relative_to(PACKAGE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


# Taken when this process imports it: an editable tree may change while a run goes on.
_DIGEST = _source_digest()


@lru_cache(maxsize=1)
def code() -> dict[str, str]:
    """{"source": digest of eddygrad's files as this process found them, "commit": hash, "+" where files differ from it}; no commit outside git."""
    found = {"source": _DIGEST}
    try:
        ask = ["git", "-C", str(PACKAGE), "describe", "--always", "--dirty=+", "--exclude=*"]
        found["commit"] = subprocess.run(ask, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        pass
    return found
