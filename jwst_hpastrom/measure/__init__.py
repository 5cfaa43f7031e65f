"""Many-exposure finding and fitting (KS2's task), artificial stars."""

from jwst_hpastrom.measure.many import ManyResult, measure_many

__all__ = ["ManyResult", "measure_many"]
