"""Hashes of what measurements use of an exposure."""

import numpy as np

from jwst_hpastrom.io.files.manifest import array_hash

__all__ = ["content_parts"]

WCS_POINTS = 17  # a side, where a WCS is looked at


def content_parts(data, err, dq, variance, header, wcs):
    """Hash an exposure's arrays, WCS and metadata.

    Parameters
    ----------
    data, err, dq : ndarray, shape (ny, nx)
        SCI, ERR and DQ.

    variance : ndarray, shape (ny, nx), or None
        VAR_POISSON, which tells how many groups a pixel used.

    header : dict
        Metadata that is used.

    wcs : callable or None

    Returns
    -------
    dict of str to str
        By part: SCI, ERR, DQ, WCS, header, and VAR_POISSON where it is there.
    """
    ny, nx = data.shape
    sky = []
    if wcs is not None:  # its parameters and tables, and some values: there are models with other attributes
        x, y = np.meshgrid(np.linspace(0, nx - 1, WCS_POINTS), np.linspace(0, ny - 1, WCS_POINTS))
        sky = [*wcs(x, y, with_bounding_box=False), wcs.forward_transform.parameters]
        leaves = wcs.forward_transform.traverse_postorder()
        sky += [np.asarray(m.lookup_table) for m in leaves if hasattr(m, "lookup_table")]
    header = sorted((k, str(v)) for k, v in header.items())
    parts = {"SCI": (data,), "ERR": (err,), "DQ": (dq,), "WCS": sky, "header": (str(header),)}
    if variance is not None:
        parts["VAR_POISSON"] = (variance,)
    return {name: array_hash(*arrays) for name, arrays in parts.items()}
