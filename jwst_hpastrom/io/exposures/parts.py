"""Hashes of what measurements use of an exposure; of an unchanged file they are made once a process."""

import numpy as np

from jwst_hpastrom.io.files.manifest import array_hash

__all__ = ["content_parts", "known_parts", "remember_parts"]

WCS_POINTS = 17  # a side, where a WCS is looked at
MOST = 4096  # files that are remembered

_known: dict = {}


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


def known_parts(path, state):
    """Return the hashes of a file of this `~jwst_hpastrom.io.files.manifest.file_state`, or None."""
    found = _known.get((str(path), state))
    return None if found is None else dict(found)


def remember_parts(path, state, parts):
    """Keep the hashes of a file whose state was ``state`` before it was read."""
    while len(_known) >= MOST:
        _known.pop(next(iter(_known)))
    _known[str(path), state] = dict(parts)
