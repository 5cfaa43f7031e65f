"""Exposures with a refined distortion in their WCS."""

import warnings
from pathlib import Path
from typing import Any

from jwst_hpastrom.errors import MissingDataError
from jwst_hpastrom.io.files.manifest import stamp
from jwst_hpastrom.io.files.writing import atomic_path

__all__ = ["refine_exposure_wcs"]


def refine_exposure_wcs(path: Any, output: Any, model: Any, *, reference: Any = None) -> str:
    """Copy an exposure with the refined distortion in its WCS.

    The transformations from V2V3 to the sky (pointing, velocity aberration, tweakreg's correction) stay.

    Parameters
    ----------
    path : path-like
        Exposure with a WCS.

    output : path-like
        The copy, ``x_hpcal.fits``.

    model : `~astropy.modeling.Model`
        Raw pixel to V2V3, as made by `~jwst_hpastrom.distortion.to_v2v3`.

    reference : str, optional
        Name of the reference file, recorded in ``meta.ref_file.distortion``.

    Returns
    -------
    str
        The path of the copy.
    """
    from astropy.modeling.models import Identity, Shift
    from gwcs import WCS
    from jwst.assign_wcs.util import update_fits_wcsinfo, update_s_region_imaging
    from stdatamodels.jwst import datamodels

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with datamodels.open(str(path)) as exposure:
            wcs = exposure.meta.wcs
            if wcs is None:
                raise MissingDataError("no WCS", "an exposure that assign_wcs has run on", "", path)
            old = list(wcs.pipeline)
            sub = exposure.meta.subarray
            dx, dy = int(sub.xstart or 1) - 1, int(sub.ystart or 1) - 1
            first = model if dx == 0 and dy == 0 else (Shift(dx) & Shift(dy)) | model
            if first is not model:
                first.inverse = model.inverse | (Shift(-dx) & Shift(-dy))
            steps = [(old[0].frame, first if old[0].transform is not None else Identity(2))]
            steps += [(s.frame, s.transform) for s in old[1:]]
            new = WCS(steps)
            new.bounding_box = wcs.bounding_box
            exposure.meta.wcs = new
            update_s_region_imaging(exposure)
            update_fits_wcsinfo(exposure, imwcs=new)
            exposure.meta.hpastrom = {"distortion": reference or "refined"}
            if made := stamp():
                exposure.meta.hpastrom.manifest = made
            exposure.meta.filename = Path(output).name
            with atomic_path(output) as temporary:
                exposure.save(str(temporary))
    return str(output)
