"""
Many epochs and Gaia
====================

Star lists of ten epochs, here simulated ones such as HST gives, become proper motions in Gaia's frame. With
files, ``strun hp_proper_motion`` does the same (:ref:`many-epochs`).
"""

# %%
# The lists
# ---------
# A list an epoch, with pixel positions and errors; its metadata have the epoch. A few of Gaia's stars
# are bad, as in nature.

import matplotlib.pyplot as plt
import numpy as np

import jwst_hpastrom as hpa

sky = hpa.simulation.simulate_epochs(n_stars=200, n_gaia=50, bad_gaia=0.1, seed=3)
for table in sky.lists[:3]:
    print(len(table), "stars in", table.meta["epoch"], "position angle", table.meta["position_angle"])
print(sky.lists[0][:3])

# %%
# Motions
# -------
# One solution holds all transformations and the Gaia stars, each good or bad with a probability.

motions = hpa.fit_epochs(sky.lists, sky.gaia, models="linear", rng=np.random.default_rng(1))
table = motions.table
print(motions)
print(table["pmra", "pmra_error", "pmdec", "pmdec_error", "mag"][:5])

motions.plot()
plt.show()

# %%
# Errors against magnitude
# ------------------------

hpa.plot.motion_errors(table)
plt.show()
