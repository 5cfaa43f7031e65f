"""Lists of many epochs are consistent with their truth."""

import numpy as np

from jwst_hpastrom.geometry import TangentPlane, fit_polynomial
from jwst_hpastrom.io.association import read_association
from jwst_hpastrom.io.tables.catalogs import read_catalog
from jwst_hpastrom.simulation import simulate_epochs, write_epochs


def test_positions_motions_and_errors():
    sim = simulate_epochs(n_stars=400, seed=2)
    t = sim.truth
    for table, rows, wrong in zip(sim.lists, sim.rows, sim.outliers, strict=True):
        assert not wrong.any()
        dt = table.meta["epoch"] - 2016.0
        xi = np.asarray(t["xi"] + t["pmra"] * dt / 1e3)[rows]
        eta = np.asarray(t["eta"] + t["pmdec"] * dt / 1e3)[rows]
        x, y = table["x"].value, table["y"].value
        fit = fit_polynomial(x, y, xi, eta, 2, sigma=10.0).transform
        du, dv = np.array(fit.forward(x, y)) - (xi, eta)
        for d, e in ((du, table["x_err"]), (dv, table["y_err"])):
            pull = d * 1e3 / (e.value * sim.config.scale_mas)
            assert abs(pull.std() - 1) < 0.1
        # +y points to the position angle, East of North
        jac = np.linalg.inv(fit.jacobian(500.0, 500.0))
        angle = np.rad2deg(np.arctan2(jac[1, 0], jac[1, 1]))
        assert abs((angle - table.meta["position_angle"] + 180) % 360 - 180) < 0.1
        # sky parity
        assert np.linalg.det(jac) < 0


def test_gaia_table():
    sim = simulate_epochs(seed=3, bad_gaia=0.0, n_gaia=300)
    plane = TangentPlane(*sim.config.target)
    xi, _ = plane.from_sky(sim.gaia["ra"].value, sim.gaia["dec"].value)
    true = sim.truth[sim.config.n_stars :]
    pull = (xi - true["xi"]) * 1e3 / sim.gaia["ra_error"].value
    assert abs(pull.std() - 1) < 0.12
    pull = (sim.gaia["pmdec"].value - true["pmdec"]) / sim.gaia["pmdec_error"].value
    assert abs(pull.std() - 1) < 0.12


def test_systematics_are_there_when_asked_for():
    plain = simulate_epochs(n_stars=300, seed=5)
    shifted = simulate_epochs(n_stars=300, seed=5, angle_offset_mas=2.0)
    a, b = plain.lists[0], shifted.lists[0]
    moved = (b["x"] - a["x"]) * plain.config.scale_mas
    faint = a["mag"] > 19.5
    assert abs(np.median(moved[faint]) - 2.0) < 0.4
    assert abs(np.median(moved[a["mag"] < 15])) < 0.1
    wild = simulate_epochs(n_stars=300, seed=5, outliers=0.05, confused=0.1, bad_gaia=0.3)
    assert 0.02 < np.mean(np.concatenate(wild.outliers)) < 0.1
    assert 10 < wild.truth["confused"].sum() < 60
    assert wild.truth["gaia_bad"].sum() > 5


def test_files(tmp_path):
    sim = simulate_epochs(n_stars=50, seed=1)
    association, gaia = write_epochs(sim, tmp_path)
    members = read_association(association).members
    assert len(members) == len(sim.lists)
    assert len(read_catalog(gaia)) == sim.config.n_gaia
    table = read_catalog(members[2], need_sky=False)
    assert table.meta["epoch"] == sim.config.epochs[2]
