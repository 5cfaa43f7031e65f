"""
RADXS
=====

`~jwst_hpastrom.plot.radxs` shows the light beyond the ePSF's. Stars lie about zero; galaxies above, hot
pixels and cosmic rays below.
"""

import matplotlib.pyplot as plt

import jwst_hpastrom as hpa

field = hpa.simulate_field(
    filter="F200W", size=256, n_exposures=1, n_stars=120, mag_faint=-4.0, min_separation=10.0, seed=2
)
exposure = field.exposures[0]
corner = exposure.meta["xstart"] - 1, exposure.meta["ystart"] - 1
library = hpa.EPSFLibrary(*field.epsf.sampled()).shifted(-corner[0], -corner[1])
stars = hpa.measure_stars(exposure.image, library)

hpa.plot.radxs(stars)
plt.show()
