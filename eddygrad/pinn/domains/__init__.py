"""Domains of a problem, from which its points are drawn: boxes, annuli, polygons, and each of them over a time interval."""

from eddygrad.pinn.domains.annulus import Annulus
from eddygrad.pinn.domains.box import Box
from eddygrad.pinn.domains.polygon import PolygonDomain
from eddygrad.pinn.domains.region import Region, SpaceTime, mean_and_std

__all__ = ["Annulus", "Box", "PolygonDomain", "Region", "SpaceTime", "mean_and_std"]
