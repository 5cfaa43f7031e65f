"""What a frame says of itself: scatter against place and magnitude, repeated measurements."""

from jwst_hpastrom.frame.diagnostics.added import add_diagnostics

__all__ = ["add_diagnostics"]
