"""
Precision of a master frame
===========================

`~jwst_hpastrom.plot.frame_rms` shows the one-dimensional scatter of positions over the exposures, star by
star. The precision of the bright stars is in the title.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table

import jwst_hpastrom as hpa

rng = np.random.default_rng(1)
n = 2000
master = Table({"mag": -3.5 - 5 * rng.beta(1, 2.5, n)}, meta={"scale_mas": 65.6})
rms = np.hypot(0.008, 0.03 * 10 ** (0.3 * (master["mag"] + 4)))
for axis in "xy":
    master[f"{axis}_rms"] = rms * np.sqrt(rng.chisquare(8, n) / 8)

hpa.plot.frame_rms(master, pixel_mas=65.6)
plt.show()
