"""
Residuals against the pixel phase
=================================

`~jwst_hpastrom.plot.phase_residuals` shows residuals against the place in the pixel. The median (dashed)
stays within 0.002 pixel for a good ePSF; here the ePSF is wrong.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table

import jwst_hpastrom as hpa

rng = np.random.default_rng(1)
x, y = rng.uniform(0, 2047, (2, 3000))
dx, dy = rng.normal(0, 0.01, (2, x.size))
residuals = Table({"x": x, "y": y, "mag": np.full(x.size, -6.0)})
residuals["dx"], residuals["dy"] = dx + 0.015 * np.sin(2 * np.pi * x), dy

hpa.plot.phase_residuals(residuals)
plt.show()
