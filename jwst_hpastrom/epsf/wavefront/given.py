"""Whether a given library is of the exposures' filter and pixels, as its diffraction pattern tells.

No wavefront makes up for a wrong wavelength: the model of the right filter's optics comes nearest, even where
it knows the optics badly (this project's choice).
"""

import logging
from dataclasses import replace

import numpy as np

from jwst_hpastrom.epsf.wavefront.modes import FOUND, off_center
from jwst_hpastrom.epsf.wavefront.phase_retrieval import retrieve
from jwst_hpastrom.instrument import INSTRUMENTS, instrument_of, nominal_scale

__all__ = ["warn_of_another_filter", "warn_of_given"]

log = logging.getLogger("stpipe.hpastrom.epsf")

SUSPECT = 0.015  # of the light: right filters leave 1.2 % at most where the model knows the optics
LIKER = 0.75  # misfit of a likelier filter over the own one's: wrong ones have 0.02 to 0.7, right ones 0.98
STRETCHED = 0.04  # of the wavelength: filters are 5 % apart, the colors of stars make 2 %
NEAR = 2.0  # ratio of the wavelengths of filters that are tried
NO_OPTICS = 0.2  # of the light: where the model knows the optics badly it is 9 % off
MOST_OFF = 0.08  # pixels: what coma makes of other conventions of the center is half as much
ASKED = "_made_for"  # name under which a library keeps what was found
CENTER = "center"  # there, beside the filters


def warn_of_another_filter(library, made_for):
    """Warn where a given library looks like one of another filter or scale, or exchanged in x and y; once.

    Parameters
    ----------
    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    made_for : dict
        Instrument, detector and filter of the exposures, as in a library's metadata.

    Returns
    -------
    str or None
        The likelier filter.
    """
    asked = library.__dict__.setdefault(ASKED, {})  # as a cached property: it goes along to workers
    key = tuple(str(made_for.get(name)) for name in ("instrument", "detector", "filter"))
    if key not in asked:
        asked[key] = _likelier(library, made_for, key[-1])
    return asked[key]


def warn_of_given(library, made_for):
    """Warn of what makes fits by a given library wrong: another filter, a star off the middle; once.

    Parameters
    ----------
    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    made_for : dict
        As of `warn_of_another_filter`.

    Returns
    -------
    str or None
        The likelier filter.

    ndarray, shape (2,)
        Where the star is, pixels (x, y) from the middle sample.
    """
    likelier, asked = warn_of_another_filter(library, made_for), library.__dict__[ASKED]
    if CENTER not in asked:
        asked[CENTER] = _off_center(library)
    return likelier, asked[CENTER]


def _likelier(library, made_for, band):
    """Name of the filter that explains a library better than the exposures' own; None if it is theirs."""
    pixel, known = nominal_scale(made_for), INSTRUMENTS.get(instrument_of(made_for))
    rows = known.filters if known else {}
    if band not in rows or not rows[band].wavelength or not pixel:
        return None
    middle = replace(
        library, data=library.at(library.x.mean(), library.y.mean())[None], x=[0.0], y=[0.0], borrowed=None
    )

    def misfit(row, stretch=1.0, library=middle):
        return retrieve(library, stretch * row.wavelength, row.width, pixel).misfit

    own, stated = rows[band], (library.meta.get("filter"), nominal_scale(library.meta))
    found = library.__dict__.get(FOUND) if stated == (band, pixel) else None
    off = misfit(own) if found is None else found.misfit
    if off < SUSPECT:
        return None
    turned = misfit(own, library=replace(middle, data=middle.data.transpose(0, 2, 1)))
    if turned <= LIKER * off:
        log.warning(
            "the given ePSF looks like one of %s with x and y exchanged: a model of the optics differs from "
            "it by %.1f %% of its light then, and by %.1f %% as it is", band, 100 * turned, 100 * off,
        )  # fmt: skip
        return None
    ratio = {name: row.wavelength / own.wavelength for name, row in rows.items() if row.wavelength}
    ratio.pop(band)
    misfits = {name: misfit(rows[name]) for name, r in ratio.items() if abs(r - 1) < STRETCHED}
    shorter, longer = (misfit(own, 1 + s) for s in (-STRETCHED, STRETCHED))
    if min(shorter, longer, *misfits.values()) < off:
        there = {n for n, r in ratio.items() if (1 / NEAR < r < 1 if shorter < longer else 1 < r < NEAR)}
        misfits |= {name: misfit(rows[name]) for name in there - set(misfits)}
    likely = min(misfits, key=misfits.get, default=None)
    if likely is not None and misfits[likely] <= LIKER * off:
        log.warning(
            "the given ePSF looks like one of %s, not of %s, or of other pixels or samples a pixel than it "
            "says: models of their optics differ from it by %.1f and %.1f %% of its light. Positions and "
            "fluxes will be wrong: give one of %s, or build without it",
            likely, band, 100 * misfits[likely], 100 * off, band,
        )  # fmt: skip
        return likely
    if off > NO_OPTICS:
        log.warning(
            "the given ePSF looks like none of %s: a model of the optics differs from it by %.0f %% of its "
            "light; it may be of another detector, or of other samples a pixel", band, 100 * off,
        )  # fmt: skip
    return None


def _off_center(library):
    """Pixels (x, y) of a library's star from its middle sample, as ψ(-½) = ψ(½) tells; warn where far."""
    step, data = library.oversampling, library.data.mean(0)
    slope = np.diag([off_center(-g, step)[k] for k, g in enumerate(np.gradient(data, 1 / step)[::-1])])
    off = np.linalg.solve(slope, off_center(data, step))
    if step > 1 and np.abs(off).max() > MOST_OFF:
        log.warning(
            "the given ePSF's star is %.2f, %.2f pixels (x, y) from its middle sample: all positions will be "
            "off by as much", *off,
        )  # fmt: skip
    return off
