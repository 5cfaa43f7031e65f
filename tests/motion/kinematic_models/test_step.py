"""The step kernel against its formula."""

import numpy as np


def twin(t, group, aux, amplitude, scale):
    return amplitude**2 * np.maximum(0, 1 - np.abs(t[:, None] - t) / scale)


def test_equals_its_definition(check_kernel):
    check_kernel("step", twin)
