"""What people look at closely: linked motions, colors and sky, and residual maps to zoom into (bokeh)."""

from importlib.util import find_spec

import numpy as np

from jwst_hpastrom.columns import values
from jwst_hpastrom.geometry import TangentPlane, sky_middle
from jwst_hpastrom.numerics import robust_limits
from jwst_hpastrom.plot.distortion import cell_medians, cell_size
from jwst_hpastrom.plot.drawing import symmetric_limit, thin

__all__ = ["available", "embed", "linked_motions", "residual_maps", "scripts"]

#: stars that are drawn, at most: browsers stay quick, and the page small
MOST = 20000
TOOLS = "pan,wheel_zoom,box_zoom,box_select,lasso_select,reset,save"


def available():
    """Whether bokeh is installed."""
    return find_spec("bokeh") is not None


def scripts():
    """Return bokeh's own script, so that the page needs no network."""
    from bokeh.resources import Resources

    return Resources(mode="inline", components=["bokeh"], minified=True).render_js()


def embed(layout):
    """Return a layout as HTML: its data and its place."""
    from bokeh.embed import components

    script, div = components(layout)
    return f'<div class="interactive">{div}{script}</div>'


def _panel(title, x, y, *, match=False, **kwargs):
    from bokeh.plotting import figure

    if match:
        kwargs["match_aspect"] = True
    out = figure(
        title=title, width=370, height=380, tools=TOOLS, active_scroll="wheel_zoom",
        active_drag="lasso_select", x_axis_label=x, y_axis_label=y, output_backend="canvas", **kwargs,
    )  # fmt: skip
    out.toolbar.logo = None
    return out


def _range(data):
    """Limits about the median, outliers aside."""
    return robust_limits(data, sigma=8.0, floor=1e-3) or (0.0, 1.0)


def linked_motions(motions):
    """Vector-point diagram, color-magnitude diagram and sky, in which a selection in one shows in all.

    Parameters
    ----------
    motions : `~astropy.table.Table`
        Where it has no colors, errors against magnitude take their place.

    Returns
    -------
    `bokeh.models.LayoutDOM` or None
        None where there is no star with a motion and a place.
    """
    from bokeh.layouts import gridplot
    from bokeh.models import ColumnDataSource, HoverTool

    names = ("ra", "dec", "pmra", "pmdec", "pmra_error", "pmdec_error", "mag", "color")
    data = {c: values(motions, c) for c in names}
    data["id"] = np.asarray(motions["id"]) if "id" in motions.colnames else np.arange(len(motions))
    rows = np.flatnonzero(np.isfinite(data["ra"] + data["dec"] + data["pmra"] + data["pmdec"]))
    if rows.size == 0:
        return None
    rows = rows[thin(np.random.default_rng(0), rows.size, MOST)]
    plane = TangentPlane(*sky_middle(data["ra"], data["dec"]))
    xi, eta = plane.from_sky(data["ra"][rows], data["dec"][rows])
    data = {k: v[rows] for k, v in data.items()} | {"xi": xi, "eta": eta}
    data["error"] = np.hypot(data["pmra_error"], data["pmdec_error"]) / np.sqrt(2)
    exact = ("ra", "dec", "id")
    source = ColumnDataSource({k: v if k in exact else v.astype(np.float32) for k, v in data.items()})
    colored = np.isfinite(data["color"]).any()
    mag = data["mag"][np.isfinite(data["mag"])]
    faint = (float(mag.max()) + 0.3, float(mag.min()) - 0.3) if mag.size else (1.0, 0.0)
    low, high = _range(data["pmra"])
    vpd = _panel(
        "Motions", "pmra (mas/yr)", "pmdec (mas/yr)", x_range=(high, low), y_range=_range(data["pmdec"])
    )
    if colored:
        cmd = _panel("Colors", "color (mag)", "magnitude (mag)", y_range=faint, x_range=_range(data["color"]))
    else:
        cmd = _panel("Errors", "1-D error (mas/yr)", "magnitude (mag)", y_range=faint, x_axis_type="log")
    edge = float(max(np.abs(xi).max(), np.abs(eta).max())) * 1.05 + 0.1
    sky = _panel(
        "Sky", "to the East (arcsec)", "to the North (arcsec)", x_range=(edge, -edge), y_range=(-edge, edge)
    )
    size = float(np.clip(120 / np.sqrt(rows.size), 2, 5))
    tips = [
        ("star", "@id"), ("ra, dec", "@ra{0.000000}, @dec{0.000000}"), ("mag", "@mag{0.00}"),
        ("pmra", "@pmra{0.000} ± @pmra_error{0.000}"), ("pmdec", "@pmdec{0.000} ± @pmdec_error{0.000}"),
        *([("color", "@color{0.00}")] if colored else []),
    ]  # fmt: skip
    for panel, x, y in (
        (vpd, "pmra", "pmdec"),
        (cmd, "color" if colored else "error", "mag"),
        (sky, "xi", "eta"),
    ):
        panel.scatter(
            x, y, source=source, size=size, color="#222222", alpha=0.7, line_color=None,
            selection_color="#d62728", selection_alpha=1.0,
            nonselection_color="#bbbbbb", nonselection_alpha=0.3,
        )  # fmt: skip
        panel.add_tools(HoverTool(tooltips=tips))
    return gridplot([[vpd, cmd, sky]], toolbar_location="above", merge_tools=True)


def residual_maps(residuals):
    """Maps of the residuals in cells, before and after the correction, that zoom together.

    Parameters
    ----------
    residuals : `~astropy.table.Table`
        As `~jwst_hpastrom.io.products.frame_residuals` gives it.

    Returns
    -------
    `bokeh.models.LayoutDOM`
    """
    from bokeh.layouts import gridplot
    from bokeh.models import ColorBar, HoverTool, LinearColorMapper
    from bokeh.palettes import RdBu11
    from bokeh.plotting import figure

    x, y = values(residuals, "x"), values(residuals, "y")
    size = cell_size(x, y)
    edges = [np.arange(-0.5, v.max() + size, size) for v in (x, y)]
    titles = {"dx_raw": "Δx before", "dy_raw": "Δy before", "dx": "Δx after", "dy": "Δy after"}
    maps = dict(zip(titles, cell_medians(x, y, [values(residuals, c) for c in titles], *edges), strict=True))
    panels, first = [], None
    for name, title in titles.items():
        limit = 1e3 * symmetric_limit(maps[name])
        mapper = LinearColorMapper(palette=RdBu11, low=-limit, high=limit, nan_color="#eeeeee")
        linked = {} if first is None else {"x_range": first.x_range, "y_range": first.y_range}
        panel = figure(
            title=title, width=540, height=480, tools="pan,wheel_zoom,box_zoom,reset,save",
            active_scroll="wheel_zoom", x_axis_label="x (pixel)", y_axis_label="y (pixel)", **linked,
        )  # fmt: skip
        panel.toolbar.logo = None
        panel.x_range.range_padding = panel.y_range.range_padding = 0
        (x0, x1), (y0, y1) = ((e[0], e[-1]) for e in edges)
        panel.image(
            image=[(1e3 * maps[name]).astype(np.float32)],
            x=x0,
            y=y0,
            dw=x1 - x0,
            dh=y1 - y0,
            color_mapper=mapper,
        )
        panel.add_tools(HoverTool(tooltips=[("x, y", "$x{0}, $y{0}"), (title, "@image{0.0} × 0.001 pixel")]))
        panel.add_layout(ColorBar(color_mapper=mapper, title="0.001 pixel"), "right")
        first = first or panel
        panels.append(panel)
    return gridplot([panels[:2], panels[2:]], toolbar_location="above", merge_tools=True)
