"""What the kernels of many-exposure measurement are given and fill, by name."""

from typing import NamedTuple

import numpy as np

__all__ = ["Combined", "Cutouts", "Exposures", "Neighbors", "Nodes", "Stars"]


class Cutouts(NamedTuple):
    """Pixels of all exposures, (n_exposures, ny, nx), float32, with sky and models subtracted."""

    data: np.ndarray
    weight: np.ndarray  # 1/σ², none where there is nothing


class Exposures(NamedTuple):
    """How each exposure sees the common frame."""

    lib: np.ndarray  # its ePSF library among coeff
    coeff: np.ndarray  # (n_libraries, n_fields, n, n)
    gx: np.ndarray  # (n_exposures, .) field positions of its library in the cut-out's coordinates
    gy: np.ndarray
    os: int  # samples of the libraries per pixel
    jac: np.ndarray  # (n_exposures, 2, 2) of cut-out by common position
    zp: np.ndarray  # (n_exposures,) flux there over flux on the common scale

    def some(self, chosen):
        """Return some of the exposures."""
        names = ("lib", "gx", "gy", "jac", "zp")
        return self._replace(**{n: getattr(self, n)[chosen] for n in names})


class Stars(NamedTuple):
    """Stars in all exposures."""

    px: np.ndarray  # (n_stars, n_exposures) positions in the cut-outs
    py: np.ndarray
    flux: np.ndarray  # (n_stars,) on the common scale
    inside: np.ndarray  # (n_stars, n_exposures) whether it may reach the exposure
    use: np.ndarray  # (n_stars, n_exposures) whether it is fitted there
    radius: np.ndarray  # (n_stars,) to which its light is subtracted, pixels


class Neighbors(NamedTuple):
    """Stars near star s: near[first[s] : first[s + 1]]."""

    first: np.ndarray
    near: np.ndarray


class Nodes(NamedTuple):
    """Where the nodes of the detection grid lie: bilinear in coarse positions given every ``spacing``."""

    x: np.ndarray  # (n_exposures, ., .)
    y: np.ndarray
    spacing: float
    step: float  # pixels between nodes


class Combined(NamedTuple):
    """What `combine` gives for every star, (n_stars,): corrections, errors, scatters, counts, quality."""

    flux: np.ndarray  # corrections
    x: np.ndarray
    y: np.ndarray
    flux_err: np.ndarray
    x_err: np.ndarray
    y_err: np.ndarray
    flux_rms: np.ndarray  # weighted scatters over the exposures
    x_rms: np.ndarray
    y_rms: np.ndarray
    n_found: np.ndarray
    n_used: np.ndarray
    qfit: np.ndarray
    radxs: np.ndarray
    chi2: np.ndarray  # per degree of freedom
    corr: np.ndarray  # of the errors of x and y
    rms_corr: np.ndarray  # of their scatter
