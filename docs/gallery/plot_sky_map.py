"""
Stars on the sky
================

`~jwst_hpastrom.plot.sky_map` shows where the stars are, East to the left.
"""

import matplotlib.pyplot as plt

import jwst_hpastrom as hpa

sky = hpa.simulate_field(size=1024, n_exposures=1, n_stars=800, cluster_fraction=0.3, seed=5)
stars = sky.reference_catalog

hpa.plot.sky_map(stars)
plt.show()
