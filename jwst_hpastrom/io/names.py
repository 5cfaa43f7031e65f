"""Names under which other catalogs have the columns of this package."""

import logging
import re

__all__ = [
    "CATALOG_NAMES", "GAIA_NAMES", "LIST_NAMES", "counts_from_one", "error_names", "find_columns", "plain",
]  # fmt: skip

log = logging.getLogger("stpipe.hpastrom.io")


def plain(name):
    """Return a column's name without case, blanks and signs: ``e_pmRA`` as ``epmra``."""
    return re.sub(r"[^a-z0-9]", "", str(name).lower())


def counts_from_one(name):
    """Whether a column's name is SExtractor's of a pixel position: ``XWIN_IMAGE``, ``Y_IMAGE``."""
    return bool(_SEXTRACTOR.fullmatch(plain(name)))


def error_names(*bases):
    """Return the names of a quantity's standard error, from the quantity's names."""
    forms = ("{}error", "{}err", "e{}", "sigma{}", "{}sigma", "err{}", "error{}", "{}unc", "{}std", "sig{}")
    forms += ("{}uncertainty", "unc{}", "s{}", "d{}", "{}rmse", "{}e")
    own = {plain(b) for b in bases}  # pm_d with an e is pmDE, a motion
    return tuple(name for b in bases for form in forms if (name := form.format(plain(b))) not in own)


_RA = ("ra", "ra_icrs", "ra_deg", "radeg", "match_ra", "raj2000", "ra_j2000", "alpha", "right_ascension")
_DEC = (
    "dec", "de_icrs", "dec_icrs", "_de", "dec_deg", "decdeg", "dedeg", "match_dec", "dej2000", "decj2000",
    "delta", "declination",
)  # fmt: skip
_PMRA = (
    "pmra", "pm_ra_cosdec", "pmra_c", "mu_ra", "mu_alpha", "mu_alpha_star", "mu_alpha_cosdelta",
    "mu_ra_cosdec", "mu_a_cosd", "pm_alpha", "pm_alpha_cosdelta", "mu_a", "pmracosd",
)  # fmt: skip
_PMDEC = ("pmdec", "pmde", "pm_d", "mu_dec", "mu_delta", "mu_de", "mu_d", "pm_delta")
_MAG = ("mag", "phot_g_mean_mag", "gmag", "m", "mag_auto", "magnitude")
#: SExtractor's positions, which count pixels from 1
_SEXTRACTOR = re.compile(r"[xy](psf|win|model)?image(dbl)?")
_X, _Y = (
    tuple(f"{c}{e}" for e in ("", "_fit", "_centroid", "_center", "_pix", "psf_image", "win_image",
                              "model_image", "_image_dbl", "_image", "_0"))
    for c in "xy"
)  # fmt: skip

#: standard column: names of it, in order of preference; case, blanks and signs do not matter
CATALOG_NAMES = {
    "id": ("id", "source_id", "source", "designation", "name", "star_id", "matchid", "objid"),
    "ra": _RA,
    "dec": _DEC,
    "ra_error": (*error_names(*_RA), "pos_error"),
    "dec_error": (*error_names(*_DEC), "pos_error"),
    "pmra": _PMRA,
    "pmdec": _PMDEC,
    "pmra_error": (*error_names(*_PMRA), "pm_error"),
    "pmdec_error": (*error_names(*_PMDEC), "pm_error"),
    "mag": _MAG,
    "x": _X,
    "y": _Y,
    "ref_epoch": (
        "ref_epoch",
        "epoch",
        "obs_epoch",
        "jyear",
        "mean_epoch",
        "ep",
        "mjd",
        "obs_mjd",
        "jd",
        "obstime",
        "time",
        "date",
    ),
    "color": ("color", "colour"),
}
#: the same of star lists
LIST_NAMES = {
    "x": _X,
    "y": _Y,
    "x_err": error_names(*_X),
    "y_err": error_names(*_Y),
    "mag": _MAG,
    "mag_err": error_names(*_MAG),
    "name": ("name", "id"),
}
#: the same of Gaia's columns beyond those of a catalog: the archive's names, and VizieR's
GAIA_NAMES = {
    **{name: names for name, names in CATALOG_NAMES.items() if name[:2] in ("ra", "de", "pm", "re")},
    "parallax": ("parallax", "plx"),
    "parallax_error": error_names("parallax", "plx"),
    "parallax_over_error": ("parallax_over_error", "rplx"),
    "astrometric_params_solved": ("astrometric_params_solved", "astrometric_params", "solved"),
    "duplicated_source": ("duplicated_source", "dup"),
    "astrometric_excess_noise_sig": ("astrometric_excess_noise_sig", "sepsi"),
    "ruwe": ("ruwe",),
    "phot_g_mean_mag": ("phot_g_mean_mag", "gmag", "mag"),
    "ra_dec_corr": ("ra_dec_corr", "radecor"),
    "ra_pmra_corr": ("ra_pmra_corr", "rapmracor"),
    "ra_pmdec_corr": ("ra_pmdec_corr", "rapmdecor"),
    "dec_pmra_corr": ("dec_pmra_corr", "depmracor"),
    "dec_pmdec_corr": ("dec_pmdec_corr", "depmdecor"),
    "pmra_pmdec_corr": ("pmra_pmdec_corr", "pmrapmdecor"),
}
#: names that speak of positions, motions or their errors
_LIKE = re.compile(
    r"^(pm|mu|sig|err|e_|d_|unc)|(_|\b)(pm|mu|err|error|sigma|sig|unc|epoch|mjd)(_|\b|\d)|err(or)?$"
)


def find_columns(table, names, path):
    """Find a table's columns under their synonyms; the log says what was not found.

    Parameters
    ----------
    table : `~astropy.table.Table`

    names : dict of str to tuple of str
        As `CATALOG_NAMES`.

    path : path-like
        For the log.

    Returns
    -------
    dict of str to str
        Standard column: the table's name of it.
    """
    here = {}
    for name in table.colnames:
        here.setdefault(plain(name), []).append(name)
    found = {}
    for standard, synonyms in names.items():
        have = [n for s in dict.fromkeys(map(plain, (standard, *synonyms))) for n in here.get(s, ())]
        if standard in have:
            have = [standard]
        # VizieR has a sexagesimal text beside the degrees
        numeric = [
            n for n in have if getattr(table[n], "dtype", None) is None or table[n].dtype.kind not in "SUO"
        ]
        if have:
            found[standard] = (numeric or have)[0]
    if missing := [n for n in names if n not in found]:
        log.info("%s: no column for %s", path, ", ".join(missing))
    used = set(found.values()) | set(names)
    unread = [n for n in table.colnames if n not in used and _LIKE.search(str(n).lower())]
    if missing and (alike := [n for n in unread if not _OWN.fullmatch(n)]):
        log.warning(
            "%s: columns %s look like positions, motions or errors and are not used; rename them if they are",
            path, ", ".join(alike[:12]),
        )  # fmt: skip
    return found


#: columns of this package's own products and Gaia's that are no synonyms
_OWN = re.compile(
    r"(ra|dec|pmra|pmdec)_(error_total|error_systematic|rel|rel_error)"
    r"|[xy]_err(_empirical|_formal|_systematic|_tie)?"
    r"|(mag|flux|sky)_err(_[a-z0-9]+)?|pmra_pmdec_corr|n_epochs|parallax.*"
)
