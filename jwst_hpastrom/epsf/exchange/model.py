"""The ePSF library as a photutils model."""

import copy
from importlib import import_module
from typing import Any

import numpy as np
from astropy.io import registry
from astropy.nddata import NDData
from numpy.typing import ArrayLike
from photutils.psf import GriddedPSFModel

from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.errors import ParameterError

__all__ = ["GriddedEPSFModel"]

# Readers and writers live in io, above this package: they are looked up by name when one is asked for.
READERS = "jwst_hpastrom.io.calibrations.psf_models"


class _Read(registry.UnifiedReadWrite):
    """Read a model from a file.

    Parameters
    ----------
    *args : tuple
        The file's name.

    **kwargs : dict
        ``format``: "stdpsf" or "epsf_asdf", from the name where not given; ``detector_id``: 1 or 2, the chip
        of an STDPSF file of two chips.

    Returns
    -------
    `GriddedEPSFModel`
    """

    def __init__(self, instance, cls):
        super().__init__(instance, cls, "read", registry=None)

    def __call__(self, *args, **kwargs):
        import_module(READERS)
        return self.registry.read(self._cls, *args, **kwargs)


class _Write(registry.UnifiedReadWrite):
    """Write the model to a file.

    Parameters
    ----------
    *args : tuple
        The file's name.

    **kwargs : dict
        ``format``: "stdpsf" or "epsf_asdf", from the name where not given; ``overwrite``.
    """

    def __init__(self, instance, cls):
        super().__init__(instance, cls, "write", registry=None)

    def __call__(self, *args, **kwargs):
        import_module(READERS)
        return self.registry.write(self._instance, *args, **kwargs)


class GriddedEPSFModel(GriddedPSFModel):
    """A grid of ePSFs as an astropy model, in place of `~photutils.psf.GriddedPSFModel`.

    It runs wherever photutils takes a PSF model, and gives what the library's own fit uses: cubic splines in
    the ePSF, bilinear interpolation in the field, and analytic derivatives. Copies share the grid.

    Parameters
    ----------
    library : `~jwst_hpastrom.epsf.library.EPSFLibrary` or `~astropy.nddata.NDData`
        The grid; an NDData as `~photutils.psf.GriddedPSFModel` takes it.

    flux, x_0, y_0 : float
        Parameters: the flux, and the position in 0-based pixels.

    fill_value : float or None
        Value beyond the ePSF's grid; None: that of the nearest edge.

    charge : float, optional
        DN at a ramp's end per unit of data (``read_exposure(...).image.charge``). Where it is given and the
        library knows how charge moves light (see `jwst_hpastrom.epsf.brighter_fatter`), the model of a
        bright star is wider than that of a faint one.

    Examples
    --------
    >>> from photutils.psf import PSFPhotometry
    >>> from jwst_hpastrom.epsf import GriddedEPSFModel
    >>> psf = GriddedEPSFModel.read("STDPSF_NIRISS_F150W.fits")      # doctest: +SKIP
    >>> photometry = PSFPhotometry(psf, fit_shape=5)                 # doctest: +SKIP
    >>> table = photometry(data, error=error, init_params=stars)     # doctest: +SKIP
    """

    read = registry.UnifiedReadWriteMethod(_Read)
    write = registry.UnifiedReadWriteMethod(_Write)

    def __init__(self, library, *, flux=1.0, x_0=0.0, y_0=0.0, fill_value=0.0, charge=None):
        if not isinstance(library, EPSFLibrary):
            library = _from_nddata(library)
        self._library, self.charge = library, charge
        positions = [(x, y) for y in library.y for x in library.x]
        meta = {**library.meta, "grid_xypos": positions, "oversampling": library.oversampling}
        super().__init__(NDData(library.data, meta=meta), flux=flux, x_0=x_0, y_0=y_0, fill_value=fill_value)

    @classmethod
    def from_photutils(cls, model: GriddedPSFModel) -> "GriddedEPSFModel":
        """Make one of photutils' own gridded model, its parameters, bounds and fixed ones kept.

        Parameters
        ----------
        model : `~photutils.psf.GriddedPSFModel`

        Returns
        -------
        `GriddedEPSFModel`

        Examples
        --------
        >>> import numpy as np
        >>> from astropy.nddata import NDData
        >>> from photutils.psf import GriddedPSFModel
        >>> from jwst_hpastrom.epsf import GriddedEPSFModel
        >>> meta = {"grid_xypos": [(0, 0)], "oversampling": 4}
        >>> theirs = GriddedPSFModel(NDData(np.ones((1, 21, 21)), meta=meta), flux=3.0)
        >>> GriddedEPSFModel.from_photutils(theirs).flux.value
        np.float64(3.0)
        """
        if not isinstance(model, GriddedPSFModel):
            raise ParameterError(f"a {type(model).__name__}", "a GriddedPSFModel of photutils")
        if isinstance(model, cls):  # which knows of charge
            return model._like(model.library)
        meta = {**model.meta, "grid_xypos": model.grid_xypos, "oversampling": model.oversampling}
        new = cls(NDData(model.data, meta=meta), fill_value=model.fill_value)
        return new._taking(model)

    @property
    def library(self) -> EPSFLibrary:
        """The grid as `~jwst_hpastrom.epsf.library.EPSFLibrary`."""
        return self._library

    def _offsets(self, x, y, x_0, y_0):
        x_0, y_0 = float(np.ravel(x_0)[0]), float(np.ravel(y_0)[0])
        dx, dy = np.asarray(x, float) - x_0, np.asarray(y, float) - y_0
        if self.fill_value is None:
            half = self._library.half_width
            dx, dy = np.clip(dx, -half, half), np.clip(dy, -half, half)
        return dx, dy, x_0, y_0

    def evaluate(self, x, y, flux, x_0, y_0):
        """Evaluate the model; see `~photutils.psf.GriddedPSFModel.evaluate`."""
        where = self._offsets(x, y, x_0, y_0)
        value = flux * self._library.evaluate(*where)
        if self.fill_value:
            half = self._library.half_width
            value = np.where((np.abs(where[0]) > half) | (np.abs(where[1]) > half), self.fill_value, value)
        if self._push:
            level = getattr(flux, "value", flux)  # in the data's units, as the charge is
            value = value + flux * level * self._push * self._spread(where)[0]
        return value

    @property
    def _push(self):
        return 0.25 * self._library.brighter_fatter * (self.charge or 0.0)

    def _spread(self, where):
        """Sum of the four neighbors' ψ² less 4 ψ², and its derivatives by the offsets."""
        dx, dy, *place = where
        out = 0.0
        for i, j, weight in ((1, 0, 1), (-1, 0, 1), (0, 1, 1), (0, -1, 1), (0, 0, -4)):
            value, *slopes = self._library.evaluate(dx + i, dy + j, *place, gradient=True)
            out += weight * np.stack([value**2, *(2 * value * s for s in slopes)])
        return out

    def fit_deriv(self, x: Any, y: Any, flux: Any, x_0: Any, y_0: Any) -> list:
        """Return the derivatives by flux, x_0 and y_0, the ePSF's change over the field left out."""
        value, by_dx, by_dy = self._library.evaluate(*self._offsets(x, y, x_0, y_0), gradient=True)
        if self._push:
            spread = flux * self._push * self._spread(self._offsets(x, y, x_0, y_0))
            value, by_dx, by_dy = value + 2 * spread[0], by_dx + spread[1], by_dy + spread[2]
        return [value, -flux * by_dx, -flux * by_dy]

    def with_perturbation(
        self, delta: ArrayLike, *, x: ArrayLike | None = None, y: ArrayLike | None = None
    ) -> "GriddedEPSFModel":
        """Return a new model with ΔΨ added to its ePSFs, normalized again.

        Parameters
        ----------
        delta : ndarray, shape (n, n) or (k, n, n)
            Addition to all ePSFs, to each of them, or at the nodes of another grid of positions.

        x, y : array-like, optional
            That other grid's columns and rows.

        Returns
        -------
        `GriddedEPSFModel`
        """
        return self._like(self._library.perturbed(delta, x=x, y=y))

    def _like(self, library):
        return type(self)(library, fill_value=self.fill_value, charge=self.charge)._taking(self)

    def _taking(self, other):
        """Take another model's parameters over, with what is fixed and their bounds."""
        for name in self.param_names:
            mine, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, np.ravel(theirs.value if theirs.unit is None else theirs.quantity)[0])
            for what in ("fixed", "bounds", "tied"):
                setattr(mine, what, copy.copy(getattr(theirs, what)))
        return self


def _from_nddata(data):
    """Take a library out of the NDData that photutils' model takes."""
    theirs = GriddedPSFModel(data)  # checks and sorts it
    if theirs.oversampling[0] != theirs.oversampling[1]:
        raise ParameterError(f"oversampling {theirs.oversampling.tolist()}", "the same in x and y")
    meta = {k: v for k, v in data.meta.items() if k not in ("grid_xypos", "oversampling", "grid_shape")}
    x, y = (np.unique(p) for p in theirs.grid_xypos.T)
    return EPSFLibrary(theirs.data, x, y, int(theirs.oversampling[0]), meta=meta)
