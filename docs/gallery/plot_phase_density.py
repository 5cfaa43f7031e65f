"""
Pixel phases
============

`~jwst_hpastrom.plot.phase_density` shows where stars fall in the pixel, over the mean. It is flat but for
Poisson noise where dithers and ePSF are good; stars that avoid a part of the pixel say that the ePSF is
wrong.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table

import jwst_hpastrom as hpa

rng = np.random.default_rng(1)
x, y = rng.uniform(0, 2047, (2, 20000))
stars = Table({"x": x - 0.04 * np.sin(2 * np.pi * x), "y": y})  # positions that are drawn to pixel centers

hpa.plot.phase_density(stars)
plt.show()
