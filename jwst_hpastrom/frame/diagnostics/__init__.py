"""What a master frame tells of its exposures, one against the others."""

from jwst_hpastrom.frame.diagnostics.exposures import add_diagnostics

__all__ = ["add_diagnostics"]
