"""ePSF libraries of exposures: their own where they lie beside the products, the given one for the rest."""

import logging
from functools import partial

from jwst_hpastrom.epsf.wavefront import warn_of_given
from jwst_hpastrom.errors import BadReferenceFileError
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf
from jwst_hpastrom.io.tables.star_lists import find_star_list, star_list_path
from jwst_hpastrom.steps.products.manifests import made_by

__all__ = ["libraries_of"]

log = logging.getLogger("stpipe.hpastrom.frame")


def libraries_of(roots, given, meta, folder):
    """Return each exposure's perturbed library where there is one, and the given one for the others.

    Parameters
    ----------
    roots : sequence of str
        Of the exposures' names.

    given : path-like
        The library of all.

    meta : dict
        What the exposures were taken with, and the place of their pixels on the detector.

    folder : path-like
        Of the products.

    Returns
    -------
    list of `~jwst_hpastrom.epsf.library.EPSFLibrary` or of callables that read one, or one of them for all
    """
    x0, y0 = (int(meta.get(key) or 1) - 1 for key in ("xstart", "ystart"))
    own = [star_list_path(r, folder).with_name(f"{r}_pepsf.fits") for r in roots]
    there = [_of_its_list(p, folder) for p in own]
    if own and all(there):
        log.info("using the exposures' own ePSF libraries")
        return [partial(_shifted, p, -x0, -y0) for p in own]
    library = read_epsf(given, meta)
    try:
        library.check_made_for(meta)
    except BadReferenceFileError as err:
        raise err.about(given) from None
    warn_of_given(library, meta)
    library = library.shifted(-x0, -y0)
    if not any(there):
        return library
    log.info("using %d exposures' own ePSF libraries, the given one for the rest", sum(there))
    each = zip(own, there, strict=True)
    return [partial(_shifted, p, -x0, -y0) if mine else library for p, mine in each]


def _shifted(path, dx, dy):
    return read_epsf(path).shifted(dx, dy)


def _of_its_list(path, folder):
    """Whether a perturbed library is there, and was made with the star list that it lies beside."""
    stars = find_star_list(path.name.removesuffix("_pepsf.fits"), [folder])
    if path.exists() and made_by(path) != made_by(stars):
        log.warning("%s is of another run than its star list, and not used", path)
        return False
    return path.exists()
