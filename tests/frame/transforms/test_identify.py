"""Which detections are one star: mutual nearest neighbors within a radius, whatever the order."""

from types import SimpleNamespace

import numpy as np

from jwst_hpastrom.frame.transforms.identify import drop_doubles, identify


def detections(*exposures):
    u, v = (np.concatenate([np.asarray(e, float)[:, axis] for e in exposures]) for axis in (0, 1))
    first = np.concatenate([[0], np.cumsum([len(e) for e in exposures])])
    return SimpleNamespace(u=u, v=v, of=lambda k: slice(first[k], first[k + 1]))


def test_stars_of_three_exposures():
    m = detections([(0, 0), (10, 0)], [(10.2, 0), (0.1, 0.1), (50, 50)], [(50.1, 50), (20, 20)])
    star, n = identify(m, (0, 1, 2), 0.5)
    assert star.tolist() == [0, 1, 1, 0, 2, 2, 3]
    assert n == 4


def test_the_nearer_of_two_detections_is_the_star():
    m = detections([(0.3, 0), (0.1, 0)])
    star, n = identify(m, (0,), 0.5, x=np.zeros(1), y=np.zeros(1))
    assert star.tolist() == [1, 0]  # the other is a star of its own
    assert n == 2


def test_stars_known_before_keep_their_numbers():
    m = detections([(7, 7), (0, 0)])
    star, n = identify(m, (0,), 0.5, x=np.array([0.0, 3.0]), y=np.array([0.0, 3.0]))
    assert star.tolist() == [2, 0]
    assert n == 3


def test_doubles_leave_the_star_of_more_detections():
    x = np.array([0.0, 0.2, 5.0, np.nan, 9.0, 9.1])
    keep = drop_doubles(x, np.zeros(6), np.array([1, 4, 1, 9, 2, 2]), 0.5)
    assert keep.tolist() == [False, True, True, False, True, False]
