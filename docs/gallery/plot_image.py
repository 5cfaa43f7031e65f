"""
An exposure
===========

`~jwst_hpastrom.plot.image` shows the pixels in an arcsinh scale; those without weight are red, stars of a
list are circled.
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

hpa.plot.image(exposure, stars)
plt.show()
