"""Regimes of `calibration.py` of many stars and few epochs: which of them are wrong, and drifts.

Positions are given in one frame, so that thousands of stars cost seconds: what single fields leave to chance.
"""

import numpy as np

from jwst_hpastrom.motion import fit_motions
from jwst_hpastrom.motion.many_epoch.few_epochs import hangs_on_one
from jwst_hpastrom.motion.many_epoch.few_epochs.bad_epochs import average_over_bad_epochs


def _epochs(rng, n):
    times = np.sort(rng.uniform(2010.0, 2024.0, n))
    times[[0, -1]] = 2010.0, 2023.5
    return times


def wrong_epochs(
    seed, epochs=4, wrong=12.0, sizes="one", share=0.1, n=3000, seasons=False, depth=1.0, offset=0.0
):
    """Motions of stars at rest, of whose few measurements a share is wrong.

    ``sizes``: all are off by ``wrong`` errors in either axis ("one"), or by a normal distribution of it.
    ``seasons``: the epochs are of two, eight years apart. ``depth``: largest error over the smallest, by
    epoch. ``offset``: of every second epoch, in the smallest errors.

    Not of ``ambiguous`` and ``unchecked`` stars: pulls of those whose measurements agree (``agree``), of
    those of which one is likely wrong (``rejected``), which have the flag ``REJECTED_EPOCHS``, and of both.
    """
    rng = np.random.default_rng([seed, epochs])
    t, y = _epochs(rng, epochs), rng.normal(0, 1, (2, n, epochs))
    bad, sign = rng.uniform(size=(n, epochs)) < share, rng.choice((-1.0, 1.0), (2, n, epochs))
    y += bad * wrong * (sign if sizes == "one" else rng.normal(0, 1, y.shape))
    if seasons:
        t = np.repeat([2010.0, 2018.0], [epochs // 2, epochs - epochs // 2]) + rng.uniform(0, 0.6, epochs)
    error = np.broadcast_to(np.geomspace(1, depth, epochs)[rng.permutation(epochs)], y.shape).copy()
    group = np.arange(epochs) % 2
    y = y * error + rng.normal(0, offset, (2, n, 1)) * group
    found, told = average_over_bad_epochs(fit_motions(t, *y, *error, models="auto", group=group), t, y, error)
    alone = hangs_on_one(np.ones(bad.shape, bool), t, error)
    pulls, clear = found.motion / found.motion_error, ~told.ambiguous & ~alone & (found.model >= 0)
    rejected = ~found.used.all(1)
    return {
        "ambiguous": told.ambiguous.astype(float), "unchecked": alone.astype(float),
        "pm_error": pulls[clear].ravel(), "agree": pulls[clear & ~rejected].ravel(),
        "rejected": pulls[clear & rejected].ravel(),
    }  # fmt: skip


def drifts(seed, size=2.0, memory=2.0, wrong=0.0, epochs=11, n=400):
    """Motions of stars that drift by ``size`` errors; a share ``wrong`` of the measurements is off by 12."""
    rng = np.random.default_rng([seed, 53])
    t = _epochs(rng, epochs)
    group, motion = np.arange(epochs) % 2, rng.normal(0, 10, (n, 2))
    shape = np.exp(-0.5 * ((t[:, None] - t) / memory) ** 2) + 1e-9 * np.eye(epochs)
    y = (
        motion.T[..., None] * (t - 2016)
        + size * rng.normal(size=(2, n, epochs)) @ np.linalg.cholesky(shape).T
    )
    bad = rng.uniform(size=(n, epochs)) < wrong
    y += rng.normal(0, 1, y.shape) + 12 * bad * rng.choice((-1, 1), y.shape)
    error = np.ones(y.shape)
    found = fit_motions(t, *y, *error, models="auto", group=group)
    out = {
        "pm_error": ((found.motion - motion) / found.motion_error).ravel(),
        "good_kept": found.used[~bad].astype(float),
    }  # fmt: skip
    return out | ({"wrong_kept": found.used[bad].astype(float)} if wrong else {})


PARTS = {
    "wrong_epochs": [
        (wrong_epochs, {"wrong": w, "sizes": s}) for s in ("one", "normal") for w in (6.0, 12.0, 30.0)
    ] + [(wrong_epochs, {"epochs": 3, "wrong": w}) for w in (12.0, 30.0)]
    + [(wrong_epochs, {"epochs": k, "wrong": 12.0, "n": 300}) for k in (5, 6, 7, 8)]
    + [(wrong_epochs, {"epochs": 6, "wrong": 12.0, "n": 300, "sizes": "normal"})]
    + [(wrong_epochs, {"epochs": 7, "wrong": 12.0, "n": 40})]
    + [(wrong_epochs, {"epochs": k, "wrong": w, "n": 300, "share": s})
       for k in (3, 5, 7) for s in (0.05, 0.2) for w in (8.0, 50.0)]
    + [(wrong_epochs, {"epochs": 7, "wrong": 12.0, "n": 300, "share": s, k: v})
       for s in (0.0, 0.1) for k, v in (("depth", 4.0), ("offset", 2.0), ("seasons", True))],
    "drifts": [(drifts, {"size": s}) for s in (0.0, 2.0, 4.0)]
    + [(drifts, {"size": 2.0, "wrong": 0.05}), (drifts, {"size": 0.0, "wrong": 0.1})],
}  # fmt: skip
FIELDS = {wrong_epochs: 3, drifts: 2}
SHARES = {"good_kept", "wrong_kept"}
