"""Each list of many epochs against the motions of all."""

from types import SimpleNamespace

import numpy as np
import pytest

from jwst_hpastrom.checks import Evidence, overall, run_checks
from jwst_hpastrom.motion.star_fits.epoch_quality import epoch_quality

EPOCHS = np.linspace(2010, 2023, 8)


def made(seed=1, n=600, late=(0, 0.0), factor=1.0, one=1.0, part=1.0, dispersion=2.0):
    """Measurements of stars on straight lines: a list that is late, errors wrong in all, one or a part."""
    rng = np.random.default_rng(seed)
    mag = rng.uniform(14, 20, n)
    motion, time = rng.normal(0, dispersion, (n, 2)), EPOCHS.copy()
    true = np.repeat(0.2 * 10 ** (0.1 * (mag - 14))[:, None], EPOCHS.size, 1)
    time[late[0]] += late[1]
    path = motion[:, :, None] * (EPOCHS - 2016)
    position = motion[:, :, None] * (time - 2016) + rng.normal(0, 1, (n, 2, EPOCHS.size)) * true[:, None]
    error = true / factor
    error[:, 3] /= one
    error = np.where(rng.random(error.shape) < 0.5, error / part, error)
    used = np.ones((n, EPOCHS.size), bool)
    used[:, late[0]] = late[1] == 0
    fits = SimpleNamespace(
        position=rng.uniform(-1e4, 1e4, (n, 2)),
        motion=motion, motion_error=true[:, :2] / 12, model=np.zeros(n, int), used=used, loo_mean=path,
        loo_error=np.sqrt(error**2 + np.mean(error**2, 1, keepdims=True) / 4)[:, None] + 0 * path,
        at=lambda epoch: (motion * (epoch - 2016), None),
    )  # fmt: skip
    names = [f"e{k}.ecsv" for k in range(EPOCHS.size)]
    position, error = np.moveaxis(position, 1, 0), np.stack([error, error])
    mags = np.repeat(mag[:, None], EPOCHS.size, 1)
    return epoch_quality(EPOCHS, position, error, fits, np.ones_like(used), names, mags)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dispersion", [0.2, 2.0])
def test_good_lists(seed, dispersion):
    checks = run_checks(Evidence(epochs=made(seed, dispersion=dispersion)))
    assert len(checks) > 20
    assert overall(checks) == "ok", [str(c) for c in checks if c.verdict != "ok"]


@pytest.mark.parametrize(
    ("spoil", "cause", "about"),
    [
        ({"late": (5, 3.0)}, "a wrong epoch of this list", "e5.ecsv"),
        ({"late": (0, -1.0)}, "a wrong epoch of this list", "e0.ecsv"),
        ({"factor": 3.0}, "errors of the star lists that are too small", ""),
        ({"factor": 1 / 3}, "errors of the star lists that are too large", ""),
        ({"one": 3.0}, "errors of this list that are too small", "e3.ecsv"),
        ({"one": 1 / 3}, "errors of this list that are too large", "e3.ecsv"),
        ({"part": 3.0}, "errors of the star lists that are wrong for a part", ""),
    ],
)
def test_spoiled_lists(spoil, cause, about):
    first = run_checks(Evidence(epochs=made(**spoil)))[0]
    assert first.verdict == "bad"
    assert first.about == about
    assert first.causes[0].startswith(cause)


def test_stars_at_rest_tell_no_time():
    assert np.isnan(made(dispersion=0.001)["time_error"]).all()
