"""Gaia positions and covariances carried to another epoch, against pygaia."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.motion.gaia_frame.reference import reference_stars, sky_axes

NAMES = ("ra", "dec", "pmra", "pmdec")


def test_propagation_with_covariance():
    coordinates = pytest.importorskip("pygaia.astrometry.coordinates")
    rng = np.random.default_rng(3)
    n = 40
    plane = TangentPlane(266.4, -29.0)
    ra, dec = plane.to_sky(*rng.uniform(-60, 60, (2, n)))
    gaia = Table({"ra": ra, "dec": dec, "pmra": rng.normal(-3, 4, n), "pmdec": rng.normal(-5, 4, n)})
    gaia["ref_epoch"] = 2016.0
    sigma = rng.uniform(0.03, 0.3, (n, 4))
    root = rng.normal(size=(n, 4, 6))
    corr = root @ np.swapaxes(root, 1, 2)
    corr /= np.sqrt(np.einsum("nii,njj->nij", corr, corr))
    for k, name in enumerate(NAMES):
        gaia[f"{name}_error"] = sigma[:, k]
        for j in range(k):
            gaia[f"{NAMES[j]}_{name}_corr"] = corr[:, j, k]
    reference = reference_stars(gaia, np.ones(n, bool), plane)
    xi, eta, ours = reference.at(2023.6)

    # pygaia's six: α, δ (rad), parallax, µα*, µδ, radial velocity; parallax and velocity without errors
    astrometry = np.stack(
        [np.deg2rad(ra), np.deg2rad(dec), np.full(n, 0.125), gaia["pmra"], gaia["pmdec"], np.zeros(n)]
    )
    covariance = np.zeros((n, 6, 6))
    rows = np.array([0, 1, 3, 4])
    covariance[:, rows[:, None], rows] = sigma[:, :, None] * corr * sigma[:, None, :]
    covariance[:, [2, 5], [2, 5]] = 1e-12
    moved, theirs = coordinates.EpochPropagation().propagate_astrometry_and_covariance_matrix(
        astrometry, covariance, 2016.0, 2023.6
    )
    x, y = plane.from_sky(np.rad2deg(moved[0]), np.rad2deg(moved[1]))
    np.testing.assert_allclose(xi, x * 1e3, atol=1e-3)
    np.testing.assert_allclose(eta, y * 1e3, atol=1e-3)
    axes = sky_axes(plane, x, y)
    theirs = axes @ theirs[:, :2, :2] @ np.swapaxes(axes, 1, 2)
    scale = np.sqrt(np.einsum("nii,njj->nij", theirs, theirs))
    np.testing.assert_allclose(ours / scale, theirs / scale, atol=1e-6)
