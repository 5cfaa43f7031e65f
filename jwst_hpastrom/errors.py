"""Errors named by cause; each says what was found, what was needed and what to do."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "BadCatalogError",
    "BadFileError",
    "BadReferenceFileError",
    "DegenerateSolutionError",
    "FolderInUseError",
    "HPAstromError",
    "MissingDataError",
    "MissingMemberError",
    "MixedExposuresError",
    "NoBaselineError",
    "NoOverlapError",
    "NotEnoughStarsError",
    "OrientationError",
    "ParameterError",
    "UnexpectedError",
    "UnsupportedExposureError",
    "WorkerLostError",
]


def _rebuild(name, kwargs):
    return _BY_NAME[name](**kwargs)


class HPAstromError(Exception):
    """Base of all errors of this package.

    Parameters
    ----------
    found, needed : str
        What was found, and what was needed instead.

    do : str, optional
        What the user can do about it.

    file : str or path-like, optional
        The file (or product) that the error is about.

    Examples
    --------
    >>> from jwst_hpastrom.errors import HPAstromError, NotEnoughStarsError
    >>> error = NotEnoughStarsError("3 stars", "at least 6", "lower the threshold", "a_cal.fits")
    >>> print(error)
    a_cal.fits: found 3 stars, needed at least 6; lower the threshold
    >>> isinstance(error, HPAstromError)
    True
    """

    # A traceback's last line then reads "NotEnoughStarsError: file: found ..., needed ...; ..."
    # without a module path, which is what users and scripts look for.
    __module__ = "builtins"

    def __init__(self, found, needed, do="", file=None):
        self.found, self.needed, self.do = str(found), str(needed), str(do)
        self.file = None if file is None else str(file)
        super().__init__(self._message())

    def _message(self):
        name = self.file or "input"
        text = f"{name}: found {self.found}, needed {self.needed}"
        if self.do:
            text += f"; {self.do}"
        return " ".join(text.split())

    def about(self, file: object) -> "HPAstromError":
        """Return the same error about ``file``, if it named none so far."""
        return self if self.file else type(self)(self.found, self.needed, self.do, file)

    def because(self, cause: str) -> "HPAstromError":
        """Return the same error with a likelier cause than its own, or itself where ``cause`` is empty."""
        return type(self)(self.found, self.needed, cause, self.file) if cause else self

    def __reduce__(self):
        kwargs = {"found": self.found, "needed": self.needed, "do": self.do, "file": self.file}
        return _rebuild, (type(self).__name__, kwargs)


class BadCatalogError(HPAstromError):
    """A table lacks columns, metadata or usable rows."""

    __module__ = "builtins"


class BadFileError(HPAstromError):
    """A file is missing, truncated or not what its name says."""

    __module__ = "builtins"


class BadReferenceFileError(HPAstromError):
    """An ePSF, distortion or other reference file is damaged or does not fit."""

    __module__ = "builtins"


class DegenerateSolutionError(HPAstromError):
    """The data cannot determine what was asked for."""

    __module__ = "builtins"


class FolderInUseError(HPAstromError):
    """Another run writes into the same folder."""

    __module__ = "builtins"


class MissingDataError(HPAstromError):
    """An exposure lacks an extension, a keyword or a WCS."""

    __module__ = "builtins"


class MissingMemberError(HPAstromError):
    """A member of an association is not on disk."""

    __module__ = "builtins"


#: what to do where fluxes cannot be compared
ONE_UNIT = "take _cal files of all, whose BUNIT is MJy/sr"


class MixedExposuresError(HPAstromError):
    """Exposures of several filters, detectors or units where one was needed."""

    __module__ = "builtins"

    @classmethod
    def unless_same(
        cls, metas: Sequence[Mapping[str, Any]], *keys: str, do: str = "take them one by one"
    ) -> None:
        """Raise the error where metadata differ in one of the keys; one that lacks it does not differ."""
        for key in keys:
            found = sorted({str(meta[key]) for meta in metas if meta.get(key) not in (None, "")})
            if len(found) > 1:
                raise cls(f"exposures of {' and '.join(found)}", f"one {key}", do)

    @classmethod
    def unless_one_filter_a_detector(cls, metas: Sequence[Mapping[str, Any]]) -> None:
        """Raise the error where exposures are of several instruments, or a detector has several filters."""
        cls.unless_same(metas, "instrument")
        cls.unless_same(metas, "unit", do=ONE_UNIT)
        for detector in {meta.get("detector") for meta in metas}:
            cls.unless_same([meta for meta in metas if meta.get("detector") == detector], "filter")


class NoBaselineError(BadCatalogError):
    """Two epochs are the same: no motions can be had from them."""

    __module__ = "builtins"


class NoOverlapError(HPAstromError):
    """Two lists of stars have no stars in common."""

    __module__ = "builtins"


class OrientationError(NoOverlapError):
    """Two lists show the same stars, one of them mirrored or turned."""

    __module__ = "builtins"


class NotEnoughStarsError(HPAstromError):
    """Too few stars are left for what was asked."""

    __module__ = "builtins"


class ParameterError(HPAstromError, ValueError):
    """A parameter has a value that makes no sense."""

    __module__ = "builtins"


class UnexpectedError(HPAstromError):
    """Something that no check foresaw; the original error is its cause."""

    __module__ = "builtins"


class UnsupportedExposureError(HPAstromError):
    """An exposure is not imaging of a supported instrument."""

    __module__ = "builtins"


class WorkerLostError(HPAstromError):
    """A worker died, or there are none."""

    __module__ = "builtins"


_BY_NAME = {name: globals()[name] for name in __all__}
