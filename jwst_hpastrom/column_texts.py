"""Units and descriptions of the columns of quality tables and of what products have beside their schemas."""

from astropy.table import Column

from jwst_hpastrom.columns import MASTER, MOTION, STAR_LIST, parse_columns

__all__ = ["OTHERS", "document"]

OTHERS = parse_columns("""
    qfit             |           | f8 | QFIT: sum of absolute residuals over the flux
    n_local          |           | i8 | reference stars of a local transformation
    first_epoch_row  |           | i8 | row of the first epoch's catalog, from 0
    master_row       |           | i8 | row of the master frame, from 0
    color            | mag       | f8 | color, as the catalogs have it
    radxs_err        |           | f8 | standard error of radxs
    n_stars          |           | i8 | stars
    n_bright         |           | i8 | clean stars with S/N above 100
    n_cores          |           | i8 | stars with S/N above 100 that are not saturated
    n_lost_core      |           | i8 | those of them with bad pixels in their central 3x3
    bad_pixels       |           | f8 | share of the exposure's pixels without weight
    filled_pixels    |           | f8 | share of the good pixels that have one and the same value
    overlap          |           | f8 | share of its stars where enough exposures look for the frame
    parity           |           | i8 | 1 as the sky is seen, -1 mirrored
    correction_error_pix | pix   | f8 | the distortion correction's stated error
    charge_unknown   |           | b1 | the brighter-fatter effect stays: the exposure's charge is not known
    n_used           |           | i8 | stars, or measurements, that were used
    n_found          |           | i8 | stars found
    n_matched        |           | i8 | stars found that are in the master frame
    n_borrowed       |           | i8 | field positions with too few stars of their own
    n                |           | i8 | stars or measurements
    filename         |           | U  | exposure
    exposure         |           | U  | exposure
    star_list        |           | U  | its star list
    epoch            | yr        | f8 | Julian year of mid-exposure
    chi2_bright      |           | f8 | median reduced chi-square of the bright stars
    sky              | MJy/sr    | f8 | median sky
    chi2             |           | f8 | median reduced chi-square
    sky_noise_ratio  |           | f8 | scatter of pixels without stars over their ERR
    err_follows_light |          | f8 | rank correlation of bright pixels' ERR with their light
    light_error      |           | f8 | error of bright stars' pixels over their light
    light_error_pixels |         | f8 | the part of it that stars at one pixel phase do not share
    wing_light       |           | f8 | light 4 to 8 pixels from bright stars over the ePSF's
    wing_light_error |           | f8 | standard error of wing_light
    central_value    |           | f8 | part of the light in the ePSF's central pixel
    wavefront_drift  | nm        | f8 | RMS by which the exposure's wavefront is off the ePSF's, followed
    central_before   |           | f8 | central value of the library
    central_after    |           | f8 | central value of the perturbed ePSF
    qfit_before      |           | f8 | median QFIT of bright stars with the library
    qfit_after       |           | f8 | median QFIT of bright stars with the perturbed ePSF
    iteration        |           | i8 | iteration of the build, from 1
    grid             |           | i8 | field positions a side
    positions        |           | U  | positions that the samples are taken about: averaged or fitted
    n_averaged       |           | i8 | stars with an averaged position
    n_samples        |           | i8 | samples of the ePSF
    clipped          |           | f8 | part of the samples that was clipped
    model_change     |           | f8 | change of the model over its peak
    position_change  | pix       | f8 | change of the positions
    x_rms            | pix       | f8 | scatter of x about the frame's means
    y_rms            | pix       | f8 | scatter of y about the frame's means
    x_phase          | pix       | f8 | pixel-phase error of x that residuals show
    y_phase          | pix       | f8 | pixel-phase error of y that residuals show
    x_phase_error    | pix       | f8 | the same that positions may keep; NaN: too few phases, or a given ePSF
    y_phase_error    | pix       | f8 | the same that positions may keep; NaN: too few phases, or a given ePSF
    phase            | pix       | f8 | place in the pixel
    n_x_first        |           | i8 | stars at that place in x, first positions
    n_y_first        |           | i8 | stars at that place in y, first positions
    n_x_last         |           | i8 | stars at that place in x, last positions
    n_y_last         |           | i8 | stars at that place in y, last positions
    dx_first         | pix       | f8 | median residual of x at that place, first positions
    dy_first         | pix       | f8 | median residual of y at that place, first positions
    dx_last          | pix       | f8 | median residual of x at that place, last positions
    dy_last          | pix       | f8 | median residual of y at that place, last positions
    stage            |           | U  | part of the correction up to which it is applied
    rms_x            | pix       | f8 | x of held-out stars about the reference, RMS
    rms_y            | pix       | f8 | y of held-out stars about the reference, RMS
    internal_x       | pix       | f8 | x of held-out stars about their means over the exposures, RMS
    internal_y       | pix       | f8 | y of held-out stars about their means over the exposures, RMS
    rms_x_pix        | pix       | f8 | x about the master frame, RMS
    rms_y_pix        | pix       | f8 | y about the master frame, RMS
    rotation_deg     | deg       | f8 | rotation of the exposure in the master frame
    scale_mas        | mas / pix | f8 | pixel scale of the exposure
    skew_deg         | deg       | f8 | angle between the axes less 90 degrees
    zero_point       | mag       | f8 | zero point less that of the central exposure
    zero_point_error | mag       | f8 | its standard error
    pointing_xi_arcsec  | arcsec | f8 | pointing less the header's, to the East
    pointing_eta_arcsec | arcsec | f8 | pointing less the header's, to the North
    pointing_arcsec  | arcsec    | f8 | pointing less the header's
    phase_pix        | pix       | f8 | pixel-phase error of the positions
    phase_error_pix  | pix       | f8 | its standard error
    va_scale         |           | f8 | scale of velocity aberration
    pixel_scale      | mas / pix | f8 | pixel scale, velocity aberration divided out
    pixel_scale_ideal | mas / pix | f8 | pixel scale of the ideal plane
    pixel_scale_error | mas / pix | f8 | standard error of the pixel scale
    step             |           | U  | Step that the check is of
    check            |           | U  | what was checked
    about            |           | U  | exposure, axis or part; empty for all
    value            |           | f8 | what was found
    low              |           | f8 | least value that is expected
    high             |           | f8 | largest value that is expected
    verdict          |           | U  | ok, look or bad
    causes           |           | U  | likely causes, the likeliest first
    remedy           |           | U  | what to do
    rank             |           | i8 | the lower, the more directly the check sees its cause
    source_name      |           | U  | name or number in the first list that has the star
    gaia_source_id   |           | i8 | source_id of Gaia
    star             |           | i8 | row of the star
    kept             |           | b1 | whether it was kept as reference star
    d_pm_xi          | mas / yr  | f8 | motion to the East less Gaia's
    d_pm_eta         | mas / yr  | f8 | motion to the North less Gaia's
    d_xi             | mas       | f8 | position to the East less Gaia's
    d_eta            | mas       | f8 | position to the North less Gaia's
    list_row         |           | i8 | row of the epoch's list
    xi_error         | mas       | f8 | standard error of xi
    eta_error        | mas       | f8 | standard error of eta
    loo_residual_ra  | mas       | f8 | measurement less the prediction of all other epochs, East
    loo_residual_dec | mas       | f8 | measurement less the prediction of all other epochs, North
    loo_error_ra     | mas       | f8 | error of that prediction, East
    loo_error_dec    | mas       | f8 | error of that prediction, North
    used             |           | b1 | whether the measurement was used
    group            |           | i8 | group of epochs
    position_angle   | deg       | f8 | of +y, degrees East of North
    model            |           | i8 | model of the motion
    mag_true         | mag       | f8 | magnitude that was put in
    found            |           | b1 | whether the star was found
    dx               | pix       | f8 | measured less true x
    dy               | pix       | f8 | measured less true y
    neighbor         | mag       | f8 | magnitude of the brightest neighbor, inf without
""")

_SCHEMAS = {c.name: c for schema in (OTHERS, MOTION, MASTER, STAR_LIST) for c in schema}


def document(table):
    """Return a table whose known columns have units and descriptions, where they had none.

    Parameters
    ----------
    table : `~astropy.table.Table`

    Returns
    -------
    `~astropy.table.Table`
        Another table of the same data.
    """
    out = table.copy(copy_data=False)
    for name in out.colnames:
        known, column = _SCHEMAS.get(name), out[name]
        if known is None or column.info.description:
            continue
        column.info.description = known.description
        if known.unit and column.unit is None and isinstance(column, Column):
            column.unit = known.unit
    return out
