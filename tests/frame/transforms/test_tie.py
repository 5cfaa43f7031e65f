"""The tie of a frame to a catalog whose columns are not what they say."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.errors import BadCatalogError, NoOverlapError, OrientationError
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.frame.transforms.tie import carried_off, years_without_motions
from jwst_hpastrom.geometry import TangentPlane

PLANE = TangentPlane(80.5, -69.5)
LIMITS = {"max_shift": 150.0, "max_rotation": 1.5}


def field(unit=1.0, seed=1, n=200):
    """Stars of 2022.3, pixels, and their catalog of 2006.3 whose motions are in another unit."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1000, 1000, (2, n))
    motion = np.array([[1.9], [0.3]]) + rng.normal(0, 0.3, (2, n))
    ra, dec = PLANE.to_sky(*PLANE.from_pixels(x, y))
    ra, dec = ra - motion[0] * 16 / 3.6e6 / np.cos(np.deg2rad(dec)), dec - motion[1] * 16 / 3.6e6
    mag = rng.uniform(-8, -4, n)
    columns = {"ra": ra, "dec": dec, "pmra": unit * motion[0], "pmdec": unit * motion[1], "mag": mag}
    return (x, y, mag), Table(columns, meta={"epoch": 2006.3})


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("unit", "epoch"), [(1000.0, 2022.3), (1.0, 12000.0)])
def test_motions_that_carry_the_stars_off_are_the_catalogs_fault(unit, epoch, seed):
    stars, catalog = field(unit, seed)
    with pytest.raises(BadCatalogError, match="unit of pmra and pmdec"):
        carried_off(*stars, catalog, PLANE, epoch, **LIMITS)


def test_other_catalogs_are_not_blamed_for_their_motions():
    stars, _ = field()
    _, other = field(seed=3)
    carried_off(*stars, other, PLANE, 2022.3, **LIMITS)
    _, without = field()
    without.remove_columns(["pmra", "pmdec"])
    carried_off(*stars, without, PLANE, 2022.3, **LIMITS)


def test_a_catalog_without_motions_is_said_to_leave_the_frame_at_its_epoch(caplog):
    _, catalog = field()
    assert years_without_motions(catalog, 2022.3) == {}
    catalog["pmra"][:196] = np.nan  # four known ones tell nothing of the others
    assert years_without_motions(catalog, 2006.5) == years_without_motions(catalog, None) == {}
    assert not caplog.records
    assert years_without_motions(catalog, 2022.3) == {"tie_years_without_motions": pytest.approx(16.0)}
    assert "where its stars were in 2006.3, 16.0 years from the exposures" in caplog.text


def exposure(stars, catalog, k, dither, mirror):
    """Star list of an image that may have been flipped after its WCS was made."""
    x, y, mag = stars
    rng = np.random.default_rng(k)
    x, y = x - dither[0], y - dither[1]
    x, y, mag = (c[(np.abs(x) < 600) & (np.abs(y) < 600)] for c in (x, y, mag))
    ra, dec = PLANE.to_sky(*PLANE.from_pixels((mirror * x) + dither[0], y + dither[1]))
    x, y = (c + rng.normal(0, 0.01, x.size) for c in (x, y))
    error = {c: np.full(x.size, 0.01) for c in ("x_err", "y_err", "mag_err", "qfit")}
    data = {"x": mirror * x, "y": y, "mag": mag, "ra": ra, "dec": dec, "flags": np.zeros(x.size, int)} | error
    meta = {"filename": f"jw0108600{k}_nis_cal.fits", "filter": "F150W", "epoch": 2022.3}
    return Table(data, meta=meta)


@pytest.mark.parametrize("dither", [20.0, 200.0])
def test_images_that_were_flipped_are_said_to_be_however_far_apart_they_are(dither):
    stars, catalog = field(n=900)
    dithers = [(k * dither, 0.3 * k * dither) for k in range(3)]
    good, flipped = ([exposure(stars, catalog, k, d, m) for k, d in enumerate(dithers)] for m in (1, -1))
    assert len(build_master(good, reference=catalog).table) > 150
    with pytest.raises(OrientationError, match="the same stars mirrored"):
        build_master(flipped, reference=catalog)
    if dither > 100:
        with pytest.raises(NoOverlapError, match="was the image flipped"):
            build_master(flipped)
