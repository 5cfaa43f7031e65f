"""Readers and writers of `~jwst_hpastrom.epsf.GriddedEPSFModel` for astropy's registry."""

from pathlib import Path

from astropy.io import registry

from jwst_hpastrom.epsf.exchange.model import GriddedEPSFModel
from jwst_hpastrom.errors import BadFileError
from jwst_hpastrom.io.calibrations.epsf_reference import read_epsf_reference, write_epsf_reference
from jwst_hpastrom.io.calibrations.stdpsf import read_stdpsf, write_stdpsf

__all__ = []


def _path(source):
    """Path of what the registry hands over: an open file where it had to look for the format."""
    return getattr(source, "name", source)


def _read_stdpsf(source, *, detector_id=None, **_):
    return GriddedEPSFModel(read_stdpsf(_path(source), chip=detector_id))


def _read_asdf(source, **_):
    return GriddedEPSFModel(read_epsf_reference(_path(source)))


def _writer(write):
    def writer(model, path, *, overwrite=False, **_):
        if Path(path).exists() and not overwrite:
            raise BadFileError("an existing file", "a new name", "use overwrite=True", path)
        return write(model.library, path)

    return writer


def _named(*suffixes):
    def identify(origin, path, fileobj, *args, **kwargs):
        return path is not None and str(path).lower().endswith(suffixes)

    return identify


for _name, _suffixes, _reader, _write in (
    ("stdpsf", (".fits", ".fits.gz"), _read_stdpsf, write_stdpsf),
    ("epsf_asdf", (".asdf",), _read_asdf, write_epsf_reference),
):
    registry.register_reader(_name, GriddedEPSFModel, _reader, force=True)
    registry.register_writer(_name, GriddedEPSFModel, _writer(_write), force=True)
    registry.register_identifier(_name, GriddedEPSFModel, _named(*_suffixes), force=True)
