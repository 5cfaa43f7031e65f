"""
An ePSF library
===============

`~jwst_hpastrom.plot.epsf_grid` shows the effective PSFs over the detector, and how each differs from
their mean: what a build must not miss.
"""

import matplotlib.pyplot as plt
import numpy as np

import jwst_hpastrom as hpa

epsf = hpa.simulation.make_epsf("F150W", np.random.default_rng(1))
library = hpa.EPSFLibrary(*epsf.sampled())

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
hpa.plot.epsf_grid(library, left)
hpa.plot.epsf_grid(library, right, difference=True)
plt.show()
