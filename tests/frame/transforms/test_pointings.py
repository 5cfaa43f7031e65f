"""Detectors off the catalog: where the WCS of those on it put them, and how well these know."""

from types import SimpleNamespace

import numpy as np
import pytest

from jwst_hpastrom.frame.transforms.pointings import LINEAR, Pointings, detector_names, simultaneous
from jwst_hpastrom.geometry import fit_linear
from tests.frame import visits

PIXEL = 50.0  # mas
RADIUS = 40.0 / PIXEL


def camera(rng, monkeypatch, detectors, error=0.006, n=3000):
    """Exposures of two pointings whose WCS errs, and where they really are in the master frame."""
    mistakes = {d: (*rng.normal(0, error, 2), 0.0, 0.0) for d in detectors}
    monkeypatch.setattr(visits, "WRONG", visits.WRONG | mistakes)
    monkeypatch.setattr(visits, "MISTAKES", visits.MISTAKES | mistakes)
    xi, eta = rng.uniform(-120, 120, (2, n))
    truth = {"xi": xi, "eta": eta, "mag": np.full(n, -6.0)}
    lists = visits.visit(rng, truth, detectors)[: 2 * len(detectors)]
    bounds = np.cumsum([0, *map(len, lists)])
    columns = {c: np.concatenate([t[c] for t in lists]) for c in ("x", "y", "ra", "dec", "true")}
    m = SimpleNamespace(**columns, n_exposures=len(lists), of=lambda k: slice(*bounds[k : k + 2]))
    _, which = detector_names(lists)
    pointing = simultaneous(np.array([t.meta["epoch"] for t in lists]), which)
    u, v = visits.PLANE.to_pixels(xi[m.true], eta[m.true])
    true = [fit_linear(m.x[m.of(k)], m.y[m.of(k)], u[m.of(k)], v[m.of(k)], parameters=6).transform
            for k in range(m.n_exposures)]  # fmt: skip
    return Pointings(m, visits.PLANE, which, pointing), which, true


def off(wcs, transforms, true, k):
    """How far an exposure's middle is from where it should be, master pixels."""
    return np.subtract(transforms[k].forward(1024.0, 1024.0), true[k].forward(1024.0, 1024.0))


def test_a_detector_goes_where_the_others_pointing_errors_put_it(monkeypatch):
    rng = np.random.default_rng(1)
    for detectors in (("NRCB1", "NRCB2", "NRCB3", "NRCB4"), ("NRCB1", "NRCB4")):
        wcs, which, true = camera(rng, monkeypatch, detectors, error=0.0)
        far = np.flatnonzero(which == 1)
        known = np.setdiff1d(np.arange(which.size), far)
        now = [wcs.transforms[k] if k in far else t for k, t in enumerate(true)]
        move = wcs.move(list(far), list(known), now)
        # pointings err by 300 mas; what is left is the second exposure's own
        assert np.abs(off(wcs, [now[0], now[1].then(move)], true, 1)).max() < 0.02
    assert wcs.move([0], [], now) is None
    assert wcs.move([0], [k for k in known if wcs.pointing[k] != wcs.pointing[0]], now) is None


def test_errors_of_detectors_off_the_catalog_are_what_the_others_show(monkeypatch):
    """Pulls over thirty cameras of four detectors on the catalog and one off it; 40 mas were stated for 7."""
    rng = np.random.default_rng(2)
    pulls, stated = [], []
    for _ in range(30):
        wcs, which, true = camera(rng, monkeypatch, (*visits.LAYOUT, "NRCA3"), n=1000)
        far = np.flatnonzero(which == 4)
        known = np.setdiff1d(np.arange(which.size), far)
        now = [wcs.transforms[k] if k in far else t for k, t in enumerate(true)]
        now[far[0]] = now[far[0]].then(wcs.move(list(far[:1]), list(known), now))
        trust = wcs.trust(known, now, RADIUS)
        assert np.all(trust[0, known] == RADIUS)
        error = trust[0, far[0]] / np.sqrt(far.size)  # its exposures have one place
        pulls.append(off(wcs, now, true, far[0]) / error)
        stated.append(error * PIXEL)
    assert 5 < np.median(stated) < 11
    assert 0.75 < np.quantile(np.abs(pulls), 0.683) < 1.3


def test_one_detector_on_the_catalog_tells_nothing_of_the_wcs(monkeypatch):
    wcs, which, true = camera(np.random.default_rng(3), monkeypatch, ("NRCB1", "NRCB4"))
    for known in ([], np.flatnonzero(which == 0), np.arange(which.size)):
        trust = wcs.trust(known, true, RADIUS)
        assert trust[0] == pytest.approx(RADIUS)
        assert trust[1] == pytest.approx(LINEAR * RADIUS)
