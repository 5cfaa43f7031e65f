"""
Vector-point diagram
====================

`~jwst_hpastrom.plot.motion_diagram` shows the motions; those of large errors are pale, and the title
counts what is beyond the axes. Here a cluster stands out from the field.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table

import jwst_hpastrom as hpa

rng = np.random.default_rng(1)
n = 1500
motions = Table({"mag": 24 - 8 * rng.beta(1, 3, n)})
error = np.hypot(0.02, 0.3 * 10 ** (0.25 * (motions["mag"] - 24))) * rng.lognormal(0, 0.1, n)
old = rng.uniform(size=n) < 0.3
width = np.where(old, 0.05, 0.6)
motions["pmra"], motions["pmdec"] = rng.normal(0, np.hypot(width, error), (2, n))
motions["pmra_error"] = motions["pmdec_error"] = error

hpa.plot.motion_diagram(motions)
plt.show()
