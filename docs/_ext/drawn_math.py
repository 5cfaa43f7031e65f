"""Formulas as SVG in the page, drawn by matplotlib: no network and no LaTeX needed."""

import base64
import html
import re
from io import StringIO

from docutils import nodes
from matplotlib import mathtext
from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.font_manager import FontProperties

SIZE = 12.0  # points, about that of the text


def drawn(formula):
    """Return ``formula`` as SVG, and its depth below the line in points."""
    # what mathtext has no word for
    text = "$" + re.sub(r"\\tfrac(\d)(\d)", r"\\frac{\1}{\2}", " ".join(formula.split())) + "$"
    font = FontProperties(size=SIZE, math_fontfamily="stix")
    width, height, depth, *_ = mathtext.MathTextParser("path").parse(text, dpi=72, prop=font)
    page = StringIO()
    renderer = RendererSVG(width + 1, height + depth + 1, page, image_dpi=72)
    renderer.draw_text(renderer.new_gc(), 0, height + 1, text, font, 0, ismath=True)
    renderer.finalize()
    svg = page.getvalue()
    return svg[svg.index("<svg") :], depth


def image(formula):
    """Return the formula as an ``<img>`` that carries its own picture."""
    svg, depth = drawn(formula)
    data = base64.b64encode(svg.encode()).decode()
    alt = html.escape(formula.strip())
    style = f"vertical-align: {-depth:.1f}pt"
    return f'<img class="math" style="{style}" alt="{alt}" src="data:image/svg+xml;base64,{data}"/>'


def visit_math(self, node):
    """Draw a formula within the text."""
    self.body.append(image(node.astext()))
    raise nodes.SkipNode


def visit_displaymath(self, node):
    """Draw a formula on lines of its own: rows end in two backslashes or an empty line."""
    rows = [row for row in re.split(r"\\\\|\n\s*\n", node.astext().replace("&", "")) if row.strip()]
    self.body.append('<div class="math">' + "<br/>".join(map(image, rows)) + "</div>")
    raise nodes.SkipNode


def setup(app):
    """Register as Sphinx's way to show formulas."""
    app.add_html_math_renderer("drawn", (visit_math, None), (visit_displaymath, None))
    app.config.html_math_renderer = "drawn"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
