"""Physics-informed problems with what is known of their solutions, one file each."""

from eddygrad.studies.problems.case import Case
from eddygrad.studies.problems.poisson import poisson

__all__ = ["Case", "poisson"]
