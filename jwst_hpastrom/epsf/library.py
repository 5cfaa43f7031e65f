"""A grid of effective PSFs over the detector."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jwst_hpastrom import plot
from jwst_hpastrom._display import Displayed
from jwst_hpastrom.epsf import resampling
from jwst_hpastrom.epsf.kernels import spline
from jwst_hpastrom.errors import BadReferenceFileError, ParameterError
from jwst_hpastrom.instrument import INSTRUMENTS, detector_name, detector_of, instrument_of
from jwst_hpastrom.instrument.metadata import keyword

__all__ = ["EPSFLibrary"]

#: pixels that field positions may lie off the detector
BEYOND = 16
#: cameras of STDPSF files that are not JWST's
OTHER_CAMERAS = ("WFC3", "ACS", "WFPC", "HRC", "UVIS", "WFC", "STIS", "NICMOS")

NORMALIZATION_RADIUS = 5.0  # pixels; L23 section 3

#: neighbors that tell of the wings: pixels from the grid's border, so that a whole box of theirs is on it,
#: and from there inwards; directions; the least distance that is of the wings
WING_MARGIN, WING_RADII, WING_ANGLES, LEAST_WING = 3.5, np.arange(0.0, 2.1, 0.5), 36, 6.0
#: what there is 13 to 25 pixels away over that, at the distance cubed: in six filters 0.7 to 1.7, RMS 1.15
WING_OUTWARD = 1.15
SKY = 0.01  # variance of a pixel by the sky, where a bright star's own light is 1 in all


@dataclass(frozen=True, eq=False)
class EPSFLibrary(Displayed):
    """Effective PSFs at the nodes of a rectangular grid of detector positions (Methods §1).

    An effective PSF already holds the pixel's response: it is sampled at pixel offsets from the star, never
    integrated. Values between the samples come from an interpolating cubic spline, through twice as many
    points where images are narrower than a pixel (see `jwst_hpastrom.epsf.resampling`); those between the
    field positions from the bilinear mean of the four nearest ones; outside the outermost nodes the nearest
    edge is used. Offsets beyond the grid give 0.

    Parameters
    ----------
    data : ndarray, shape (len(y) * len(x), n, n)
        The ePSFs, n odd; ``data[iy * len(x) + ix][j, i]``, j along y, with the star at the central sample.

    x, y : ndarray
        Field positions of the grid's columns and rows, 0-based pixels, ascending.

    oversampling : int
        Samples per pixel.

    borrowed : ndarray of bool, shape (len(y) * len(x),), optional
        ePSFs that were borrowed from neighboring positions.

    meta : dict, optional
        Filter, epoch, file name, history.

    brighter_fatter : float
        Shift of the boundary between two pixels towards the one with more charge, pixels per DN of the
        difference (see `jwst_hpastrom.epsf.brighter_fatter`); the ePSFs are those without charge.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.epsf import EPSFLibrary
    >>> r2 = np.add.outer(np.arange(-40, 41) ** 2, np.arange(-40, 41) ** 2) / 16.0
    >>> library = EPSFLibrary(np.exp(-r2 / 2)[None] / (2 * np.pi), [1023], [1023], meta={"filter": "F150W"})
    >>> library
    <EPSFLibrary F150W: 1 x 1 ePSFs of 81 x 81 samples, 4 a pixel>
    >>> round(float(library.evaluate(0.0, 0.0, 1023.0, 1023.0)), 3)
    0.159
    """

    data: np.ndarray
    x: np.ndarray
    y: np.ndarray
    oversampling: int = 4
    borrowed: np.ndarray | None = None
    meta: dict = field(default_factory=dict)
    brighter_fatter: float = 0.0

    def __repr__(self):
        what = " ".join(str(self.meta[k]) for k in ("instrument", "detector", "filter") if self.meta.get(k))
        return (
            f"<{type(self).__name__}{f' {what}' if what else ''}: {self.x.size} x {self.y.size} ePSFs of "
            f"{self.data.shape[1]} x {self.data.shape[2]} samples, {self.oversampling} a pixel>"
        )

    def plot(self, ax: Any = None, *, difference: bool = False) -> Any:
        """Draw the ePSFs over the detector, see `jwst_hpastrom.plot.epsf_grid`."""
        return plot.epsf_grid(self, ax, difference=difference)

    def __post_init__(self):
        def put(name, value):
            object.__setattr__(self, name, value)

        put("data", np.ascontiguousarray(self.data, dtype=float))
        put("x", np.atleast_1d(np.asarray(self.x, dtype=float)))
        put("y", np.atleast_1d(np.asarray(self.y, dtype=float)))
        n = self.x.size * self.y.size
        if self.data.ndim != 3 or self.data.shape[0] != n:
            raise ParameterError(
                f"ePSF data of shape {self.data.shape}",
                f"{n} two-dimensional ePSFs for {self.x.size} x {self.y.size} field positions",
            )
        if self.data.shape[1] != self.data.shape[2] or self.data.shape[1] % 2 == 0:
            raise ParameterError(f"ePSFs of {self.data.shape[1:]} samples", "square ePSFs with an odd side")
        if not np.isfinite(self.data).all():
            raise ParameterError("ePSF values that are not finite", "finite values")
        for name, nodes in (("x", self.x), ("y", self.y)):
            if (np.diff(nodes) <= 0).any():
                raise ParameterError(f"field positions {name} = {nodes.tolist()}", "ascending positions")
        if int(self.oversampling) != self.oversampling or self.oversampling < 1:
            raise ParameterError(f"oversampling {self.oversampling}", "a whole number, 1 or more")
        put("oversampling", int(self.oversampling))
        if not np.isfinite(self.brighter_fatter):
            raise ParameterError(f"brighter_fatter={self.brighter_fatter}", "a finite number")
        borrowed = np.zeros(n, bool) if self.borrowed is None else np.asarray(self.borrowed, bool)
        if borrowed.shape != (n,):
            raise ParameterError(f"{borrowed.size} 'borrowed' marks", f"one for each of {n} ePSFs")
        put("borrowed", borrowed)

    @cached_property
    def coefficients(self):
        """Cubic B-spline coefficients, mirrored at the border; what the kernels read."""
        return resampling.spline_coefficients(self.data, self.knots // self.oversampling, spline.PAD)

    @cached_property
    def knots(self) -> int:
        """Knots of the spline per pixel: the samples, or twice as many where the image is that narrow."""
        return self.oversampling * resampling.refinement(self.data, self.oversampling)

    def with_knots(self, knots: int) -> np.ndarray:
        """Return the `coefficients` for so many knots per pixel, a multiple of the samples."""
        if knots == self.knots:
            return self.coefficients
        return resampling.spline_coefficients(self.data, knots // self.oversampling, spline.PAD)

    @cached_property
    def single(self):
        """`coefficients` in single precision, a ten-millionth of the peak: enough for residuals."""
        return self.coefficients.astype(np.float32)

    @property
    def half_width(self) -> float:
        """Pixels from the center to the border of the grid."""
        return (self.data.shape[1] // 2) / self.oversampling

    @cached_property
    def radial_maximum(self) -> tuple[np.ndarray, np.ndarray]:
        """Radii, in steps of half a pixel, and the largest ψ, without its sign, from each radius outwards."""
        n = self.data.shape[1]
        offset = np.abs(np.arange(n) - n // 2) / self.oversampling
        ring = np.rint(2 * np.hypot(*np.meshgrid(offset, offset))).astype(int).ravel()
        peak = np.zeros(ring.max() + 1)
        np.maximum.at(peak, ring, np.abs(self.data).max(0).ravel())
        peak = np.maximum.accumulate(peak[::-1])[::-1]
        radius = np.arange(peak.size) / 2
        inside = radius <= self.half_width
        return radius[inside], peak[inside]

    def evaluate(
        self, dx: ArrayLike, dy: ArrayLike, x: ArrayLike, y: ArrayLike, *, gradient: bool = False
    ) -> Any:
        """Evaluate the ePSF of stars at (x, y) at pixel offsets from them.

        Parameters
        ----------
        dx, dy : array-like
            Offsets of the pixels from the star (pixel minus star), pixels.

        x, y : array-like
            Detector position of the star, 0-based; broadcast with the offsets.

        gradient : bool
            Return the derivatives, too.

        Returns
        -------
        values : ndarray
            Fraction of the star's flux in a pixel at that offset; 0 beyond the grid.

        by_dx, by_dy : ndarray
            Derivatives by the offsets (their negatives are those by the star's position), if asked for.
        """
        dx, dy, x, y = (np.asarray(a, dtype=float) for a in (dx, dy, x, y))
        shape = np.broadcast_shapes(dx.shape, dy.shape, x.shape, y.shape)
        args = [np.array(np.broadcast_to(a, shape)).ravel() for a in (dx, dy, x, y)]
        out = np.empty((3, args[0].size))
        spline.evaluate(self.coefficients, self.x, self.y, self.knots, *args, *out)
        values = out.reshape(3, *shape)
        return tuple(values) if gradient else values[0]

    def wing_shift(self) -> float:
        """Shift of a star, pixels, by the light of one as bright 10 pixels away that is not subtracted.

        Fits of five by five pixels take a part of that light for a shift. This is its RMS over directions,
        pixel phases, and weights of faint and of bright stars, from neighbors as far away as the grid allows:
        it falls with the distance cubed, as the envelope of a diffraction pattern does. Of the field's mean
        ePSF: its positions have the pattern in common, but not their noise, which would add to it. NaN for a
        grid that does not reach 9.5 pixels.
        """
        return self._wing_shift

    @cached_property
    def _wing_shift(self):
        far = self.half_width - WING_MARGIN
        if far < LEAST_WING:
            return np.nan
        r, angle = np.meshgrid(far - WING_RADII, np.arange(WING_ANGLES) * (2 * np.pi / WING_ANGLES))
        away_x, away_y = (r * np.cos(angle)).reshape(-1, 1), (r * np.sin(angle)).reshape(-1, 1)
        squares, mean = [], self._mean()
        pixel_y, pixel_x = (c.ravel() for c in np.mgrid[-2:3, -2:3])
        for px, py in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5)):
            dx, dy = pixel_x - px, pixel_y - py
            value, by_dx, by_dy = mean.evaluate(dx, dy, 0.0, 0.0, gradient=True)
            light = mean.evaluate(dx - away_x, dy - away_y, 0.0, 0.0)
            for noise in (1.0, np.sqrt(np.maximum(value, 0.0) + SKY)):
                fit = np.linalg.pinv((np.stack([value, -by_dx, -by_dy]) / noise).T)[1:]
                squares.append((fit @ (light / noise).T * (r.ravel() / 10) ** 3) ** 2)
        return WING_OUTWARD * float(np.sqrt(np.mean(squares)))

    def _mean(self):
        """The field's mean ePSF as a library of one position; its spline is the mean of the splines."""
        mean = EPSFLibrary(self.data.mean(0)[None], [0.0], [0.0], self.oversampling)
        mean.__dict__.update(knots=self.knots, coefficients=self.coefficients.mean(0)[None])
        return mean

    def at(self, x: float, y: float) -> np.ndarray:
        """Return the ePSF's samples at one detector position, shape (n, n): bilinear in the field."""
        n = self.data.shape[1]
        out = np.empty((n, n))
        spline.blend(np.ascontiguousarray(self.data), self.x, self.y, float(x), float(y), 0, 0, n, n, out)
        return out

    def central_value(self, x: ArrayLike, y: ArrayLike) -> Any:
        """Return ψ at zero offset: the share of the flux in the central pixel of a centered star."""
        return self.evaluate(0.0, 0.0, x, y)

    def volumes(self, radius: float = NORMALIZATION_RADIUS) -> np.ndarray:
        """Sum of each ePSF within a radius (pixels), per pixel area; 1 for a normalized library."""
        n = self.data.shape[1]
        offset = (np.arange(n) - n // 2) / self.oversampling
        inside = np.hypot(*np.meshgrid(offset, offset)) <= radius + 1e-9
        return self.data[:, inside].sum(1) / self.oversampling**2

    def normalized(self) -> "EPSFLibrary":
        """Return the library with every ePSF's sum within 5 pixels equal to 1 (L23 section 3)."""
        volumes = self.volumes()
        if not (volumes > 0).all():
            raise ParameterError(f"an ePSF with sum {volumes.min():.3g}", "positive sums within 5 pixels")
        return replace(self, data=self.data / volumes[:, None, None])

    def perturbed(
        self, delta: ArrayLike, *, x: ArrayLike | None = None, y: ArrayLike | None = None
    ) -> "EPSFLibrary":
        """Return the library with an addition to its ePSFs, normalized again.

        Parameters
        ----------
        delta : ndarray, shape (n, n) or (k, n, n)
            Added to all ePSFs, to each of them, or bilinear between the nodes of another grid of positions.

        x, y : array-like, optional
            Columns and rows of that other grid, 0-based pixels.

        Returns
        -------
        `EPSFLibrary`
        """
        delta = np.asarray(delta, float)
        if delta.ndim not in (2, 3) or delta.shape[-2:] != self.data.shape[-2:]:
            raise ParameterError(f"an addition of shape {delta.shape}", f"{self.data.shape[-2:]} samples")
        if x is not None or y is not None:
            at_x, at_y = (np.asarray(0.0 if p is None else p, float) for p in (x, y))
            nodes = EPSFLibrary(delta, at_x, at_y, self.oversampling)
            delta = np.array([nodes.at(a, b) for b in self.y for a in self.x])
        elif delta.ndim == 3 and len(delta) != len(self.data):
            raise ParameterError(
                f"{len(delta)} additions", f"{len(self.data)}, or the positions x and y of them"
            )
        return replace(self, data=self.data + delta).normalized()

    def shifted(self, dx: float, dy: float) -> "EPSFLibrary":
        """Return the library for a detector frame whose origin lies elsewhere: positions plus (dx, dy).

        A sub-array that begins at the 0-based full-frame pixel (x0, y0) needs ``shifted(-x0, -y0)``.
        """
        return self if dx == dy == 0 else replace(self, x=self.x + dx, y=self.y + dy)

    def check_made_for(self, meta: dict) -> None:
        """Raise `BadReferenceFileError` unless the library is of an exposure's detector and filter.

        What the library or `~jwst_hpastrom.instrument` does not know is not compared.
        """
        mine, theirs = ((detector_of(m), keyword(m.get("filter"))) for m in (self.meta, meta))
        camera = detector_name(self.meta.get("detector")) or keyword(self.meta.get("instrument"))
        foreign = theirs[0] and (
            camera.startswith(OTHER_CAMERAS) or (camera in INSTRUMENTS and camera != instrument_of(meta))
        )
        for k, (key, where) in enumerate((("detector", "on"), ("filter", "in"))):
            if (mine[k] and theirs[k] and mine[k] != theirs[k]) or (key == "detector" and foreign):
                raise BadReferenceFileError(
                    f"an ePSF of {self.meta.get(key) or camera} for exposures {where} {meta[key]}",
                    f"an ePSF of {meta[key]}", f"give another than {self.meta.get('epsf_file', 'this')}",
                )  # fmt: skip

        if not theirs[0]:
            return
        ny, nx = theirs[0].shape
        if max(-self.x.min(), -self.y.min(), self.x.max() - nx, self.y.max() - ny) > BEYOND:
            raise BadReferenceFileError(
                f"field positions of x {self.x.min():.0f} to {self.x.max():.0f}, y {self.y.min():.0f} to "
                f"{self.y.max():.0f}", f"pixels of a detector of {nx} x {ny}",
                f"give another than {self.meta.get('epsf_file', 'this')}",
            )  # fmt: skip

    def borrowed_near(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Return for stars at (x, y) whether a borrowed ePSF takes part in theirs with more than 5 %."""
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        share = np.zeros(x.shape)
        for k in np.flatnonzero(np.asarray(self.borrowed)):
            share += _hat(self.x, k % self.x.size, x) * _hat(self.y, k // self.x.size, y)
        return share > 0.05


def _hat(nodes, k, p):
    """Bilinear weight of node k at p."""
    if nodes.size == 1:
        return np.ones_like(p)
    return np.interp(p, nodes, np.eye(nodes.size)[k])
