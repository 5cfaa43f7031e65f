"""
With photutils
==============

The ePSF library is a photutils model, and star lists go both ways: the same stars are fitted by this
package and by photutils, and compared with the truth of a simulated exposure.
"""

# %%
# An exposure and a model
# -----------------------
# The exposure is 256 pixels wide; the library here is the simulation's true one. With data of your own it
# comes from ``hpastrom run`` or a published STDPSF file, by ``GriddedEPSFModel.read``.

import matplotlib.pyplot as plt
import numpy as np
from photutils.psf import PSFPhotometry

import jwst_hpastrom as hpa
from jwst_hpastrom.epsf import from_photutils, to_init_params

field = hpa.simulate_field(
    filter="F200W", size=256, n_exposures=1, n_stars=60, mag_faint=-5.0, min_separation=12.0, seed=2
)
exposure = field.exposures[0]
image = exposure.image
start = exposure.meta["xstart"] - 1, exposure.meta["ystart"] - 1
library = hpa.EPSFLibrary(*field.epsf.sampled()).shifted(-start[0], -start[1])
print(library)

hpa.plot.image(image)
plt.show()

# %%
# Two fits of the same stars
# --------------------------

stars = hpa.measure_stars(image, library)
psf = hpa.GriddedEPSFModel(library)
photometry = PSFPhotometry(psf, fit_shape=5)
results = photometry(image.data, error=image.err, mask=~image.good, init_params=to_init_params(stars))
theirs = from_photutils(results)
print(len(stars), "stars")

# %%
# Against the truth
# -----------------
# Errors of the positions, over the errors that the fits state; 1 is right.

truth = exposure.truth
for name, table in (("this package", stars), ("photutils", theirs)):
    away = np.hypot(np.subtract.outer(table["x"], truth["x"]), np.subtract.outer(table["y"], truth["y"]))
    k = away.argmin(axis=1)
    near = away.min(axis=1) < 0.5
    pull = (table["x"] - truth["x"][k])[near] / table["x_err"][near]
    print(f"{name}: {near.sum()} stars, median |pull| / 0.674 = {np.median(np.abs(pull)) / 0.674:.2f}")

figure, axes = plt.subplots()
axes.plot(stars["mag"], stars["x"] - theirs["x"], ".")
axes.set(xlabel="instrumental magnitude", ylabel="x, ours − photutils (pixel)")
plt.show()
