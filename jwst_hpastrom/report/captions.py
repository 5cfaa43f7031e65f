"""Captions of the figures: what each shows, what to expect of good data, what was published."""

from typing import NamedTuple

__all__ = ["Shown", "shown"]


class Shown(NamedTuple):
    """A figure of the page and its caption."""

    figure: object
    title: str
    see: str = ""
    good: str = ""
    here: str = ""


#: figure -> (what to see, what good looks like and the published value)
CAPTIONS = {
    "epsf_grid": (
        "Left: the ePSF at each field position, logarithmic. Right: its difference from their mean.",
        "Differences change smoothly from place to place; no checkerboard, no position marked "
        "'borrowed' (too few stars of its own).",
    ),
    "phase_change": (
        "Stars per place in the pixel and their mean residual there, with the first and the last positions.",
        "The last curves are flat: within the band of ±0.01 pixel (L23: within ±0.01 pixel).",
    ),
    "central_history": (
        "Light in the ePSF's central pixel, and the QFIT of bright stars, by exposure: library and "
        "perturbed ePSF.",
        "Central values within a percent of each other; QFIT falls, never rises.",
    ),
    "star_lists": (
        "Fractional misfit (QFIT) against magnitude of every exposure; band and line: the bright stars "
        "and their median.",
        "All exposures alike; the bright stars' median is below 0.05 (L23), about 0.015 where the ePSF "
        "is of these data.",
    ),
    "qfit_radxs": (
        "QFIT, and RADXS, the light beyond the ePSF's: above 0 galaxies and blends, below 0 cosmic rays.",
        "A narrow band that rises to the faint end only; RADXS about 0.",
    ),
    "samplings": (
        "Pixels in a strip through the stars' centers over their fluxes, from light centers and from "
        "fitted positions.",
        "The points of the right column lie on the line with noise only.",
    ),
    "qfit_change": (
        "QFIT with the library and with the ePSF perturbed to this exposure.",
        "The right median is the smaller one.",
    ),
    "pixel_phase": (
        "Where stars fall in the pixel, and residuals of bright stars against it; dashed: running median.",
        "Even density; medians within ±0.01 pixel (L23).",
    ),
    "distortion_map": (
        "Residuals about the master frame before and after the correction: medians in cells, and single"
        " stars along x and y.",
        "After the correction no arrow pattern and no trend are left; the RMS is about 0.01 pixel (L23:"
        " 0.01).",
    ),
    "residual_scatter": (
        "Residuals of bright stars about the master frame, with Gaussians of the same width.",
        "Round, centered on zero, Gaussian; about 0.01 pixel per axis (L23 Fig. 12).",
    ),
    "position_rms": (
        "Distance of single positions from the master frame against magnitude; points are stars, the "
        "line their RMS.",
        "A floor of about 0.01 pixel for bright stars (L23 Fig. 16), then a rise with photon noise.",
    ),
    "amplifiers": (
        "Residuals by amplifier (stripes, or columns in turn), with the polynomial alone and with all parts;"
        " red: running median.",
        "Waves on the left, none on the right.",
    ),
    "fine_maps": (
        "The pixel map of the correction, and the residuals that are left with it, on one color scale.",
        "Structure above, noise without structure below.",
    ),
    "filter_maps": (
        "The distortion of each filter less the mean of all.",
        "Smooth and small, some 0.01 pixel (L23 Fig. 17).",
    ),
    "scale_history": (
        "Pixel scale of every exposure, velocity aberration divided out; dashed: the filter's mean.",
        "Constant within the errors, or with the drift that all filters share (L23 Fig. 18, 19).",
    ),
    "frame_rms": (
        "Scatter of each star's measurements about its mean position in the master frame.",
        "A flat floor for bright stars, about 0.01 detector pixel (L23 Fig. 16).",
    ),
    "motion_errors": (
        "Errors of the motions against magnitude, with the color-magnitude diagram and the reference "
        "stars where there are colors.",
        "A floor for the bright stars: L23 have 0.013 mas/yr with 16 yr between HST and NIRISS; a "
        "shorter baseline has larger ones in proportion.",
    ),
    "motion_diagram": (
        "Motions of all stars, East to the left; pale: large errors.",
        "One compact clump for each population; no cross and no stripes along x or y (a bad transformation).",
    ),
    "transformation_errors": (
        "Error of the transformation of each epoch at the typical star.",
        "No epoch stands out; well below the stars' own errors (H25 Fig. 2).",
    ),
    "references": (
        "Motions and positions of the reference stars against Gaia's, each through transformations "
        "without itself.",
        "Centered on zero, rejected ones few.",
    ),
    "star_path": (
        "One star's measurements less its straight motion; gray: predictions from its other epochs.",
        "Measurements agree with predictions within the errors.",
    ),
    "chi2_loo": (
        "Leave-one-out χ² per epoch of all stars; dashed: what the models expect.",
        "Medians agree with the expected one; below, errors are too large, above, too small.",
    ),
    "epoch_errors": (
        "Errors of positions and motions against magnitude; red: running median.",
        "A floor for bright stars, then a smooth rise.",
    ),
    "group_offset": (
        "Offset of the second group of epochs from the first against magnitude.",
        "Zero within the errors at all magnitudes (H25 Fig. 10).",
    ),
    "group_motions": (
        "Difference of the motions from either group alone over its error; dashed: what honest errors give.",
        "Centered on zero, as wide as the Gaussian.",
    ),
    "artificial": (
        "Completeness, magnitudes, scatter of positions and pulls of artificial stars, by crowding.",
        "Pulls about 1; no bias of magnitudes before the completeness falls below a half.",
    ),
    "populations": (
        "The populations in the color-magnitude diagram and their motions.",
        "The old ones scatter more (L23: 0.144 ± 0.003 mas/yr for red giants).",
    ),
    "groups": (
        "Motions of the young stars, projected on their axis, and the Gaussians that they are made of.",
        "The sum follows the points (L23: 12, 20 and 68 %).",
    ),
    "cluster_place": (
        "Young stars on the sky, by their probability to belong to the clump; circle: where it was sought.",
        "Likely members gather inside the circle.",
    ),
    "cluster_members": (
        "Likely members in the color-magnitude diagram, and their motions by magnitude.",
        "One sequence; a tight clump of motions that widens to the faint end.",
    ),
}


def shown(figure, key, title, here=""):
    """Return a figure with the words of its kind.

    Parameters
    ----------
    figure : `~matplotlib.figure.Figure`

    key : str
        Of `CAPTIONS`.

    title : str

    here : str
        What this field has, beside the published value.

    Returns
    -------
    `Shown`
    """
    return Shown(figure, title, *CAPTIONS[key], here)
