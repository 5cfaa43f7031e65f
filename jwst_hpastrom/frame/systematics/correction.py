"""What a star's measurements share by the errors of the distortion correction."""

import numpy as np

__all__ = ["correction_errors", "measured_errors"]


def correction_errors(m, star, used, transforms, corrections, n_stars, names=()):
    """Error that a star's measurements share by the distortion correction's own, master pixels, (2, n_stars).

    It is the mean covariance of two different measurements of the star: what is not common to them shows in
    their scatter. Exposures that share a correction share its errors
    (`~jwst_hpastrom.geometry.Mapping.mean_error`); those of different corrections are independent. The error
    of a single measurement, which has no scatter, is all of it. A star that the correction was made from has
    more in common in its exposures than their places say, the more the better it is measured
    (`~jwst_hpastrom.distortion.model.error_model.ErrorModel.share`); ``names`` are the exposures' file names.
    """
    total = np.zeros((2, n_stars))
    count = np.bincount(star[used], minlength=n_stars)
    exposures = {}
    for k, c in enumerate(corrections):
        exposures.setdefault(id(c), []).append(k)
    for which in exposures.values():
        own = corrections[which[0]]
        s = np.concatenate([m.first[k] + np.flatnonzero(used[m.of(k)]) for k in which])
        # its stars alone: where each exposure has a correction of its own, all stars times all would be many
        mine, of = np.unique(star[s], return_inverse=True)
        at, n = (m.raw_x[s], m.raw_y[s]), np.bincount(of, minlength=mine.size)
        mean = np.nan_to_num(own.mean_error(*at, of, mine.size)) ** 2
        single = np.stack([np.bincount(of, e**2, minlength=mine.size) for e in own.error(*at)])
        shared = np.maximum(n**2 * mean - single, (n - 1) * single * _own_share(own, m, of, s, n, names))
        turn = np.mean([transforms[k].matrix ** 2 for k in which], axis=0)
        total[:, mine] += turn @ np.where(count[mine] > 1, shared, single)
    return np.sqrt(np.maximum(total, 0.0) / np.maximum(count * (count - 1), 1))


def _own_share(correction, m, of, rows, count, names):
    """`ErrorModel.share` of the stars ``of`` these rows of measurements; zero for other corrections."""
    model = _model_of(correction)
    if model is None:
        return np.zeros((2, count.size))
    variance = np.bincount(of, 0.5 * (m.vx[rows] + m.vy[rows]), count.size) / np.maximum(count, 1)
    return model.share(np.sqrt(np.nan_to_num(variance)), names)


def measured_errors(corrections, names):
    """Whether reference stars in these very exposures show the errors of all their corrections."""
    models = [_model_of(c) for c in corrections]
    return all(m is not None and m.measured and n in m.exposures for m, n in zip(models, names, strict=True))


def _model_of(correction):
    """The `ErrorModel` of a correction, or None."""
    return getattr(getattr(correction, "full", correction), "uncertainty", None)
