"""The log of a run: one record per interval, kept in the curve and appended to metrics.jsonl."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from eddygrad.runtime.progress import Bar

if TYPE_CHECKING:
    from eddygrad.training.loop import Loop


class MetricsLog:
    """`metrics.jsonl`: one JSON object per line, appended; a resumed run first removes the lines that its checkpoint does not include.

    Args:
        path: the file.
        keep: bytes of it that belong to the checkpoint.
    """

    def __init__(self, path: Path, keep: int = 0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(path, "r+b" if path.exists() else "w+b")  # noqa: SIM115 (open for the life of the run)
        self.file.truncate(min(keep, os.fstat(self.file.fileno()).st_size))
        self.file.seek(0, os.SEEK_END)

    def write(self, **values: Any) -> None:
        """Append one line."""
        self.file.write((json.dumps(values) + "\n").encode())

    def position(self) -> int:
        """Flush and return the bytes that are safely on disk, for the checkpoint."""
        self.file.flush()
        os.fsync(self.file.fileno())
        return self.file.tell()

    def close(self) -> None:
        """Close the file."""
        self.file.close()


@contextmanager
def metrics_log(folder: Path | None, keep: int) -> Iterator[MetricsLog | None]:
    """Open the log of a folder, of which the first `keep` bytes are kept; None without a folder."""
    if folder is None:
        yield None
        return
    with closing(MetricsLog(folder / "metrics.jsonl", keep)) as log:
        yield log


def due(loop: Loop) -> bool:
    """Return whether anything is logged, validated, diagnosed or saved after this update."""
    plan = loop.training
    return any(loop.step % every == 0 for every in (plan.log_every, plan.validate_every, plan.checkpoint_every, plan.diagnose_every or plan.steps))


def record(loop: Loop, log: MetricsLog | None, loss: Tensor, shown: Bar) -> None:
    """Validate if it is time to, keep the record in the curve and append it to the log.

    Args:
        loop:  the run.
        log:   metrics.jsonl, None without a folder.
        loss:  total loss per seed of the last update.
        shown: progress bar.
    """
    plan, last = loop.training, loop.over
    terms = {name: {key: value.tolist() for key, value in pair.items()} for name, pair in loop.balance.terms.items()}
    entry: dict[str, Any] = {"step": loop.step, "loss": loss.tolist(), **({"terms": terms} if terms else {}), **loop.balance.diagnosis}
    loop.balance.diagnosis = {}
    if plan.validate is not None and (last or loop.step % plan.validate_every == 0):
        iterations = {} if plan.refinement is None else {"iterations": plan.refinement.iterations}  # the error was measured with these
        errors = loop.validate()
        entry.update(validation=next(iter(errors.values())), **({"errors": errors} if len(errors) > 1 else {}), **iterations)
        loop.curve.append(entry)
        shown.set_postfix(validation=f"{statistics.median(entry['validation']):.3g}", refresh=False)
    elif plan.keep_log and (last or loop.step % plan.log_every == 0):
        loop.curve.append(entry)
    if log is not None and (last or "validation" in entry or "stds" in entry or loop.step % plan.log_every == 0):
        lost = {"diverged": loop.lost} if loop.lost else {}
        log.write(**entry, lr=loop.optimizer.param_groups[0]["lr"], seconds=round(loop.seconds, 3), skipped=sum(loop.guard.skipped), **lost)
