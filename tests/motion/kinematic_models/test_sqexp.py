"""The squared exponential against its formula."""

import numpy as np


def twin(t, group, aux, amplitude, scale):
    return amplitude**2 * np.exp(-((t[:, None] - t) ** 2) / (4 * scale**2))


def test_equals_its_definition(check_kernel):
    check_kernel("sqexp", twin)
