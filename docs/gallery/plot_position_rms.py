"""
Precision against magnitude
===========================

`~jwst_hpastrom.plot.position_rms` shows the scatter of positions in bins of magnitude; the shaded range
is that of the stars which the precision is quoted for.
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

hpa.plot.position_rms(residuals)
plt.show()
