"""Many-exposure finding and fitting (KS2's task), artificial stars."""

from jwst_hpastrom.measure.artificial import artificial_stars, summarise_artificial
from jwst_hpastrom.measure.config import ManyConfig
from jwst_hpastrom.measure.many import ManyResult, measure_many

__all__ = ["ManyConfig", "ManyResult", "artificial_stars", "measure_many", "summarise_artificial"]
