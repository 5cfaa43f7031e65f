"""A simulated field on disk: exposures, association, first-epoch catalog, official distortion, truth."""

import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from astropy.time import Time
from tqdm.auto import tqdm

from jwst_hpastrom.instrument import filter_of
from jwst_hpastrom.io.files.writing import atomic_path, write_model, write_table
from jwst_hpastrom.simulation.camera import DETECTOR, SCALE, V2_REF, V3_ANGLE, V3_REF, OfficialDistortion
from jwst_hpastrom.simulation.detector import PIXEL_AREA_SR

__all__ = ["FieldFiles", "to_model", "write_field", "write_official_distortion"]


@dataclass(frozen=True)
class FieldFiles:
    """Paths of what `write_field` wrote.

    Attributes
    ----------
    association, reference_catalog, distortion : str

    exposures : tuple of str

    truth : str
        Folder with ``stars.ecsv``, a ``_truth.ecsv`` per exposure, ``distortion.npz``,
        ``epsf.npz``, ``config.json``.
    """

    association: str
    reference_catalog: str
    distortion: str
    exposures: tuple
    truth: str


def write_official_distortion(path: Any, band: str) -> str:
    """Write the distortion that the simulated observatory believes in, as a CRDS ``distortion`` reference.

    Parameters
    ----------
    path : path-like
        ``.asdf`` file.

    band : str
        Filter.

    Returns
    -------
    str
        The path.
    """
    from astropy import units as u
    from astropy.modeling.models import Mapping, Polynomial2D
    from stdatamodels.jwst.datamodels import DistortionModel

    c, s = np.cos(np.deg2rad(V3_ANGLE)), np.sin(np.deg2rad(V3_ANGLE))

    def plane(matrix, offset=(0.0, 0.0), origin=(0.0, 0.0)):
        rows = [
            Polynomial2D(
                1,
                c0_0=offset[k] - matrix[k][0] * origin[0] - matrix[k][1] * origin[1],
                c1_0=matrix[k][0],
                c0_1=matrix[k][1],
            )
            for k in (0, 1)
        ]
        return Mapping((0, 1, 0, 1)) | rows[0] & rows[1]

    to_ideal = OfficialDistortion().to_astropy()
    matrix = [[-c, s], [s, c]]
    reference = (V2_REF, V3_REF)
    model = to_ideal | plane(matrix, offset=reference)
    model.inverse = plane(np.linalg.inv(matrix).tolist(), origin=reference) | to_ideal.inverse
    out = DistortionModel(model=model, input_units=u.pix, output_units=u.arcsec)
    _set_wheels(out.meta.instrument, band)
    out.meta.instrument.p_pupil = f"{out.meta.instrument.pupil}|"
    out.meta.exposure.type, out.meta.exposure.p_exptype = "NIS_IMAGE", "NIS_IMAGE|"
    out.meta.author, out.meta.pedigree = "jwst_hpastrom simulation", "DUMMY"
    out.meta.description = out.meta.title = "Simulated official distortion: a polynomial only"
    out.meta.useafter = "2022-01-01T00:00:00"
    return write_model(out, path)


def _set_wheels(instrument, band):
    instrument.name, instrument.detector = "NIRISS", "NIS"
    instrument.filter, instrument.pupil = filter_of(band)[:2]


def to_model(exposure: Any, distortion: Any = None) -> Any:
    """Make a data model of an exposure, as the level-2 pipeline would have saved it.

    Parameters
    ----------
    exposure : `~jwst_hpastrom.simulation.SimulatedExposure`

    distortion : str, optional
        A ``distortion`` reference file; with it the WCS is attached by the official ``assign_wcs`` code.

    Returns
    -------
    `~stdatamodels.jwst.datamodels.ImageModel`
    """
    from stdatamodels.jwst.datamodels import ImageModel

    config, pixels, meta = exposure.parent.config, exposure.pixels, exposure.meta
    model = ImageModel()
    model.data, model.err, model.dq = pixels.data, pixels.err, pixels.dq
    model.var_poisson, model.var_rnoise, model.var_flat = (
        pixels.var_poisson,
        pixels.var_rnoise,
        pixels.var_flat,
    )
    m, noise = model.meta, config.noise
    m.telescope, m.filename = "JWST", meta["filename"]
    _set_wheels(m.instrument, config.filter)
    m.exposure.type, m.exposure.readpatt = "NIS_IMAGE", "NISRAPID"
    m.exposure.ngroups, m.exposure.nints, m.exposure.nframes, m.exposure.groupgap = noise.n_groups, 1, 1, 0
    m.exposure.group_time = m.exposure.frame_time = noise.group_time
    seconds = noise.exposure_time
    for name in ("exposure_time", "effective_exposure_time", "measurement_time", "integration_time"):
        setattr(m.exposure, name, seconds)
    m.exposure.duration = m.exposure.elapsed_exposure_time = seconds
    middle = Time(meta["epoch"], format="jyear").mjd
    start, end = middle - seconds / 2 / 86400, middle + seconds / 2 / 86400
    m.exposure.start_time = m.exposure.start_time_mjd = start
    m.exposure.mid_time = m.exposure.mid_time_mjd = middle
    m.exposure.end_time = m.exposure.end_time_mjd = end
    m.observation.date, m.observation.time = Time(start, format="mjd").isot.split("T")
    o = m.observation
    o.program_number, o.observation_number, o.visit_number = config.program, config.observation, "001"
    o.visit_group, o.sequence_id, o.activity_id = "02", "1", "01"
    o.exposure_number, o.visit_id = str(exposure.index + 1), f"{config.program}{config.observation}001"
    m.target.ra, m.target.dec = config.target
    m.target.catalog_name = "SIMULATED-FIELD"
    (ny, nx), (x0, y0) = config.shape, config.origin
    m.subarray.name = "FULL" if (ny, nx) == (DETECTOR, DETECTOR) else "GENERIC"
    m.subarray.xstart, m.subarray.ystart, m.subarray.xsize, m.subarray.ysize = x0 + 1, y0 + 1, nx, ny
    m.subarray.fastaxis, m.subarray.slowaxis = -2, -1
    w = m.wcsinfo
    for name in ("ra_ref", "dec_ref", "roll_ref", "v2_ref", "v3_ref", "v3yangle", "vparity"):
        setattr(w, name, meta[name])
    w.wcsaxes, w.crpix1, w.crpix2, w.crval1, w.crval2 = 2, 1024.5 - x0, 1024.5 - y0, w.ra_ref, w.dec_ref
    w.ctype1, w.ctype2, w.cunit1, w.cunit2 = "RA---TAN", "DEC--TAN", "deg", "deg"
    w.cdelt1 = w.cdelt2 = SCALE / 3600
    m.aperture.name = m.aperture.pps_name = "NIS_CEN"
    m.velocity_aberration.scale_factor = config.va_scale
    m.coordinates.reference_frame = "ICRS"
    m.photometry.conversion_megajanskys = noise.mjsr_per_dns
    m.photometry.pixelarea_steradians, m.photometry.pixelarea_arcsecsq = PIXEL_AREA_SR, SCALE**2
    m.bunit_data = m.bunit_err = "MJy/sr"
    for step in ("dq_init", "saturation", "jump", "ramp_fit", "flat_field", "photom"):
        setattr(m.cal_step, step, "COMPLETE")
    if distortion is not None:
        from jwst.assign_wcs.assign_wcs import load_wcs

        model = load_wcs(model, {"distortion": str(distortion), "filteroffset": None})
        model.meta.cal_step.assign_wcs = "COMPLETE"
    return model


def write_field(
    field: Any, directory: Any, *, product: str = "field", truth: bool = True, progress: bool = False
) -> FieldFiles:
    """Write a field as a user would have it from the archive, and the truth beside it.

    Parameters
    ----------
    field : `~jwst_hpastrom.simulation.SimulatedField`

    directory : path-like
        Made where it is missing.

    product : str
        Product name of the association, ``<product>_asn.json``.

    truth : bool
        Write the ``truth`` folder too.

    progress : bool
        Show a progress bar.

    Returns
    -------
    `FieldFiles`
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    distortion = write_official_distortion(
        folder / f"{product}_official_distortion.asdf", field.config.filter
    )
    catalog = write_table(field.reference_catalog, folder / "first_epoch.ecsv")
    paths = []
    for exposure in tqdm(
        field.exposures, desc="simulating", unit="exposure", disable=None if progress else True
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = to_model(exposure, distortion)
            path = folder / exposure.meta["filename"]
            with atomic_path(path) as temporary:
                model.save(temporary)
                # datamodels write the name they are saved under into the header
                _set_filename(temporary, path.name)
            model.close()
        paths.append(str(path))
        exposure.__dict__.pop("pixels", None)  # 100 MB each; drawn again when asked for
        exposure.__dict__.pop("image", None)
        if truth:
            write_table(exposure.truth, folder / "truth" / f"{exposure.name}_truth.ecsv")
    members = [{"expname": Path(p).name, "exptype": "science"} for p in paths]
    association = {
        "asn_type": "image3",
        "asn_rule": "DMS_Level3_Base",
        "asn_id": "a3001",
        "asn_pool": "none",
        "program": field.config.program,
        "target": "none",
        "products": [{"name": product, "members": members}],
    }
    asn = folder / f"{product}_asn.json"
    with atomic_path(asn) as temporary:
        temporary.write_text(json.dumps(association, indent=2) + "\n", encoding="utf-8")
    if truth:
        _write_truth(field, folder / "truth")
    return FieldFiles(str(asn), catalog, distortion, tuple(paths), str(folder / "truth"))


def _set_filename(path, name):
    from astropy.io import fits

    with fits.open(path, mode="update", memmap=False) as hdus:
        hdus[0].header["FILENAME"] = name


def _write_truth(field, folder):
    folder.mkdir(parents=True, exist_ok=True)
    write_table(Table(field.stars), folder / "stars.ecsv")
    x, y = np.meshgrid(*2 * [np.arange(0.0, DETECTOR, 8)])
    xi, eta = field.distortion.forward(x, y)
    with atomic_path(folder / "distortion.npz") as temporary, open(temporary, "wb") as out:
        np.savez(out, x=x, y=y, ideal_x=xi, ideal_y=eta, fine=np.array(field.distortion.fine.forward(x, y)))
    data, gx, gy = field.epsf.sampled()
    with atomic_path(folder / "epsf.npz") as temporary, open(temporary, "wb") as out:
        np.savez(out, data=data, x=gx, y=gy)
    with atomic_path(folder / "config.json") as temporary:
        temporary.write_text(json.dumps(asdict(field.config), indent=2) + "\n", encoding="utf-8")
