"""
Residuals along an axis
=======================

`~jwst_hpastrom.plot.residual_trend` shows residuals against a coordinate: what the correction leaves
shows as a wave of the median.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table

import jwst_hpastrom as hpa

rng = np.random.default_rng(1)
x, y = rng.uniform(0, 2047, (2, 6000))
residuals = Table({"x": x, "y": y, "mag": rng.uniform(-7.5, -4.0, x.size)})
residuals["dx_raw"], residuals["dy_raw"] = 0.2 * np.sin(x / 400), 0.1 * np.cos(y / 300)
for axis in "xy":
    noise = rng.normal(0, np.hypot(0.006, 0.03 * 10 ** (0.3 * (residuals["mag"] + 4))))
    residuals[f"d{axis}_raw"] += noise
    residuals[f"d{axis}"] = noise

hpa.plot.residual_trend(residuals)
plt.show()
