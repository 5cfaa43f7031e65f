"""Whether exposures and catalog look at one field, and if not, in what system the catalog would."""

import numpy as np
from astropy.coordinates import SkyCoord
from scipy.sparse.csgraph import connected_components

from jwst_hpastrom.columns import values
from jwst_hpastrom.errors import NoOverlapError
from jwst_hpastrom.geometry import TangentPlane, sky_middle

__all__ = ["check_catalog_field", "check_catalog_of", "check_one_field", "stars_in_field"]

#: arcsec beyond the exposures' corners, for their pointing
MARGIN = 10.0
#: systems that catalogs are in, in spite of their columns' names: what makes right ascension and declination
SYSTEMS = {
    "B1950": lambda a, b: SkyCoord(a, b, unit="deg", frame="fk4"),
    "galactic coordinates": lambda a, b: SkyCoord(a, b, unit="deg", frame="galactic"),
    "ecliptic coordinates": lambda a, b: SkyCoord(a, b, unit="deg", frame="barycentricmeanecliptic"),
    "hours of right ascension": lambda a, b: SkyCoord(15 * a, b, unit="deg"),
    "radians": lambda a, b: SkyCoord(a, b, unit="rad"),
    "declinations of the other sign": lambda a, b: SkyCoord(a, -b, unit="deg"),
    "right ascensions to the West": lambda a, b: SkyCoord(-a, b, unit="deg"),
    "ra and dec exchanged": lambda a, b: SkyCoord(b, a, unit="deg"),
}


def _inside(plane, box, ra, dec):
    with np.errstate(invalid="ignore"):
        x, y = plane.from_sky(ra, dec)
        return (x > box[0]) & (x < box[1]) & (y > box[2]) & (y < box[3])


def _field(corners):
    """Tangent plane of the exposures, and the box that holds them, arcsec."""
    ra, dec = corners[:, 0], corners[:, 1]
    plane = TangentPlane(*sky_middle(ra, dec))
    x, y = (np.ravel(c) for c in plane.from_sky(ra, dec))
    return plane, (x.min() - MARGIN, x.max() + MARGIN, y.min() - MARGIN, y.max() + MARGIN)


def stars_in_field(frame, catalog):
    """Count a catalog's stars within the box of a frame's.

    Parameters
    ----------
    frame, catalog : `~astropy.table.Table`
        With ra and dec, deg.

    Returns
    -------
    int
        0 where the frame has no sky.
    """
    if "ra" not in frame.colnames:
        return 0
    ra, dec = values(frame, "ra"), values(frame, "dec")
    known = np.isfinite(ra + dec)
    if not known.any():
        return 0
    corners = np.stack([ra[known], dec[known]])[None]
    return int(_inside(*_field(corners), values(catalog, "ra"), values(catalog, "dec")).sum())


def check_one_field(corners, names):
    """Raise where exposures look at several fields that do not touch.

    Parameters
    ----------
    corners : ndarray, shape (n, 2, 4)
        Right ascension and declination of each exposure's corners, deg.

    names : sequence of str

    Raises
    ------
    NoOverlapError
        Names an exposure of the smaller group.
    """
    middle = np.array([sky_middle(*c) for c in corners])
    places = SkyCoord(*middle.T, unit="deg")
    radius = np.array([
        p.separation(SkyCoord(*c, unit="deg")).deg.max() for p, c in zip(places, corners, strict=True)
    ])  # fmt: skip
    near = [
        places.separation(p).deg < radius + r + 2 * MARGIN / 3600 for p, r in zip(places, radius, strict=True)
    ]
    seen = (label := connected_components(np.array(near), directed=False)[1]) == label[0]
    if seen.all():
        return
    fewer = np.flatnonzero(seen if 2 * seen.sum() < seen.size else ~seen)
    other = places[np.setdiff1d(np.arange(seen.size), fewer)]
    away = places[fewer[0]].separation(other).deg.min()
    raise NoOverlapError(
        f"{fewer.size} of {seen.size} exposures that look {away:.3g} degrees away from the others",
        "exposures of one field", "make one association for each target", names[fewer[0]],
    )  # fmt: skip


def check_catalog_field(reference, corners):
    """Raise where a catalog has no star in the field of the exposures.

    Parameters
    ----------
    reference : `~astropy.table.Table`

    corners : ndarray, shape (n, 2, 4)

    Raises
    ------
    NoOverlapError
        It says in what system the catalog would have some.
    """
    plane, box = _field(corners)
    ra, dec = values(reference, "ra"), values(reference, "dec")
    if _inside(plane, box, ra, dec).any():
        return
    do = "check the catalog's columns and the association"
    if (found := _system(plane, box, ra, dec)) is not None:
        do = f"its columns ra and dec look like {found}: bring them to ICRS, degrees"
    raise NoOverlapError(
        f"none of {len(reference)} stars where the exposures look (ra {plane.ra:.4f}, dec {plane.dec:.4f})",
        "a catalog of this field", do, reference.meta.get("catalog"),
    )  # fmt: skip


def check_catalog_of(tables, reference):
    """Raise where a catalog has no star in the field of star lists or a frame, see `check_catalog_field`.

    Parameters
    ----------
    tables : sequence of `~astropy.table.Table`
        Those without ra and dec tell nothing.

    reference : `~astropy.table.Table` or None
    """
    if reference is None or any(stars_in_field(t, reference) for t in tables):
        return
    for table in tables:
        ra, dec = values(table, "ra"), values(table, "dec")
        if (known := np.isfinite(ra + dec)).any():
            check_catalog_field(reference, np.stack([ra[known], dec[known]])[None])


def _system(plane, box, ra, dec):
    """Name of the system in which most of a catalog's stars lie where the exposures look, if there is one."""
    known = np.isfinite(ra + dec)
    ra, dec = ra[known], dec[known]
    share = {}
    for name, made in SYSTEMS.items():
        second = ra if name.startswith("ra and dec") else dec
        ok = np.abs(second) <= (np.pi / 2 if name == "radians" else 90.0)
        if ok.any():
            sky = made(ra[ok], dec[ok]).icrs
            share[name] = np.count_nonzero(_inside(plane, box, sky.ra.deg, sky.dec.deg)) / ra.size
    best = max(share, key=share.get, default=None)
    return best if best and share[best] > 0.1 else None
