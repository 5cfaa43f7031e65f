"""Figures, each on one `~matplotlib.axes.Axes` that is given or made, and returned.

Nothing here is imported, matplotlib neither, until it is asked for.
"""

from jwst_hpastrom._lazy import lazy

_NAMES = {
    "distortion": ("distortion_arrows", "pixel_map", "position_rms", "residual_arrows", "residual_map",
                   "residual_scatter", "residual_trend"),
    "images": ("epsf_grid", "image"),
    "motions": ("color_magnitude", "frame_rms", "motion_diagram", "motion_errors", "sky_map"),
    "stars": ("phase_density", "phase_residuals", "qfit", "radxs"),
}  # fmt: skip

__getattr__, __dir__, __all__ = lazy(__name__, _NAMES)
