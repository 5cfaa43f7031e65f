"""High-precision astrometry with JWST NIRISS.

Exposures become star lists, star lists become a master frame, master frames become motions; the ePSF and
the distortion are what each pass through the data improves.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("jwst_hpastrom")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
