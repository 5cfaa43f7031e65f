"""
A NIRISS field: from exposures to motions
=========================================

Four dithered exposures and a first-epoch catalog become an effective PSF, star lists, a master frame and
proper motions. The field is simulated, so that the truth is known, and small: it runs in seconds.
With exposures of your own, ``hpastrom run`` does all of this at once (:doc:`/first_field`).
"""

# %%
# The exposures
# -------------
# Four exposures of 256 × 256 pixels, written as a user has them from the archive: ``_cal`` files, an
# association, and a first-epoch catalog of sixteen years before.

import tempfile

import matplotlib.pyplot as plt

import jwst_hpastrom as hpa

field = hpa.simulate_field(
    filter="F150W", size=256, n_exposures=4, n_stars=160, mag_faint=-4.5, min_separation=12.0, seed=11
)
files = hpa.write_field(field, tempfile.mkdtemp())
exposures = [hpa.read_exposure(path, need_wcs=True) for path in files.exposures]
print(exposures[0])

exposures[0].plot()
plt.show()

# %%
# The effective PSF
# -----------------
# The dithers put every star on other places in the pixel, which is what a PSF of undersampled images is built
# from. One ePSF (``grid=1``) is enough for so small a part of the detector. Four exposures of so few stars
# leave errors that depend on the pixel phase, and a warning says how large.

plane = hpa.geometry.TangentPlane(*field.config.target, scale_mas=65.6)


def to_plane(exposure):
    """Raw pixels of an exposure to pixels of the common tangent plane, through its WCS."""
    return lambda x, y: plane.to_pixels(*plane.from_sky(*exposure.to_sky(x, y)))


build = hpa.build_library(exposures, [to_plane(e) for e in exposures], grid=1, n_iterations=5, n_global=5)
print(build.library)

build.library.plot()
plt.show()

# %%
# Star lists
# ----------
# QFIT, the part of a star's light that the ePSF does not explain, is below 0.03 for bright stars if it fits.

lists = []
for exposure in exposures:
    stars = hpa.measure_stars(exposure, build.library)
    stars["ra"], stars["dec"] = exposure.to_sky(stars["x"], stars["y"])
    stars.meta |= exposure.meta
    lists.append(stars)
print(len(lists[0]), "stars; the first of them:")
print(lists[0]["x", "y", "x_err", "y_err", "mag", "qfit", "radxs"][:5])

hpa.plot.qfit(lists[0])
plt.show()

# %%
# Master frame
# ------------
# Positions are averaged over the exposures and brought to the catalog's system. So small a field has no
# distortion solved: the WCS's stands (:doc:`/steps` has what full frames do).

catalog = hpa.read_catalog(files.reference_catalog)
frame = hpa.build_master(lists, reference=catalog)
print(frame)

frame.plot()
plt.show()

# %%
# Motions
# -------

motions = hpa.two_epoch_motions(frame.table, catalog)
print(motions)
table = motions.table
print(table["pmra", "pmra_error", "pmdec", "pmdec_error", "mag"][:5])

motions.plot()
plt.show()
