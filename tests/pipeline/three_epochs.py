"""Exposures of several epochs and rolls of one field on disk, with a Gaia-like table of bright stars."""

import json
from pathlib import Path

import numpy as np
from astropy.table import Table

from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.geometry import TangentPlane, propagate
from jwst_hpastrom.io.calibrations.stdpsf import write_stdpsf
from jwst_hpastrom.simulation import simulate_field, write_field

GAIA_EPOCH = 2016.0


def write_epochs_of_exposures(folder, visits, *, n_gaia=49, position=0.15, motion=0.12, **config):
    """Write exposures, ``epochs_asn.json``, ``gaia.ecsv``, ``epsf.fits``; return association, table, stars.

    ``visits`` are (Julian year, roll, filter).
    """
    folder = Path(folder)
    members, field = [], None
    for k, (epoch, roll, band) in enumerate(visits):
        field = simulate_field(
            epoch=epoch, roll=roll, filter=band, star_epoch=GAIA_EPOCH, observation=f"{k + 1:03d}", **config
        )
        files = write_field(field, folder / f"visit{k + 1}", truth=False)
        members += [{"expname": str(p), "exptype": "science"} for p in files.exposures]
    stars = field.stars
    data, x, y = field.epsf.sampled()
    meta = {"instrument": "NIRISS", "detector": "NIS", "filter": field.config.filter}
    write_stdpsf(EPSFLibrary(data, x, y, meta=meta), folder / "epsf.fits")
    asn = folder / "epochs_asn.json"
    asn.write_text(json.dumps({"asn_type": "image3", "products": [{"name": "lmc", "members": members}]}))
    rng = np.random.default_rng(12)
    reach = 0.35 * min(field.config.half_field)
    inside = np.flatnonzero(np.hypot(stars["xi"], stars["eta"]) < 2 * reach)
    g = inside[np.argsort(np.asarray(stars["mag"])[inside])[:n_gaia]]
    xi, eta, pmra, pmdec = (np.asarray(stars[c])[g] for c in ("xi", "eta", "pmra", "pmdec"))
    noise = rng.normal(size=(4, g.size))
    xi, eta = propagate(xi, eta, pmra, pmdec, GAIA_EPOCH - stars.meta["epoch"])
    ra, dec = TangentPlane.from_meta(stars.meta).to_sky(
        xi + noise[0] * position / 1e3, eta + noise[1] * position / 1e3
    )
    gaia = Table(
        {
            "source_id": g, "ra": ra, "dec": dec,
            "pmra": pmra + noise[2] * motion, "pmdec": pmdec + noise[3] * motion,
            "phot_g_mean_mag": np.asarray(stars["mag"])[g] + 24.0, "ruwe": np.ones(g.size),
            "ref_epoch": np.full(g.size, GAIA_EPOCH),
        }
    )  # fmt: skip
    for name, value in (("ra", position), ("dec", position), ("pmra", motion), ("pmdec", motion)):
        gaia[f"{name}_error"] = np.full(g.size, value)
    gaia.write(folder / "gaia.ecsv")
    return str(asn), str(folder / "gaia.ecsv"), stars
