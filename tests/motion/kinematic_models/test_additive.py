"""The additive error against its formula."""

import numpy as np


def twin(t, group, aux, amplitude, scale):
    return amplitude**2 * np.eye(t.size)


def test_equals_its_definition(check_kernel):
    check_kernel("additive", twin)
