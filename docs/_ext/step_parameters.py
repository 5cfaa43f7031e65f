"""Directive ``step-parameters``: a Step's parameters as tables, from the spec that ``strun`` reads."""

import re
from io import StringIO

from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

HEAD = ("parameter", "values", "default", "meaning")


def split(check):
    """Return (values, default) of a configobj check, as ``option('a', 'b', default='a')``."""
    kind, inner = re.match(r"(\w+)\((.*)\)$", check.strip()).groups()
    before, _, default = inner.partition("default=")
    choices = re.findall(r"'([^']*)'", before) if kind == "option" else []
    default = default.strip().strip("'\"")
    values = " | ".join(f"``{c}``" for c in choices) or kind
    return values, f"``{default}``" if default else ""


def parameters(step):
    """Return {name: (values, default, meaning)} of a Step, by its full spec."""
    spec, out = step.load_spec_file(), {}
    for name in spec.scalars:
        text = (spec.inline_comments.get(name) or "").lstrip("# ").strip()
        out[name] = (*split(spec[name]), text)
    return out


def shared(steps):
    """Return names of parameters that mean the same in all of ``steps``."""
    tables = [parameters(s) for s in steps]
    return [n for n in tables[0] if all(t.get(n) == tables[0][n] for t in tables)]


def table(rows):
    """Return a list-table in reStructuredText."""
    out = StringIO()
    out.write(".. list-table::\n   :header-rows: 1\n   :widths: 18 18 12 52\n\n")
    for row in (HEAD, *rows):
        for k, cell in enumerate(row):
            out.write(("   * - " if k == 0 else "     - ") + cell + "\n")
    return out.getvalue()


class StepParameters(Directive):
    """``.. step-parameters:: hp_epsf_fit``, or ``common`` for what all Steps have."""

    required_arguments = 1

    def run(self):
        """Make the table."""
        from jwst_hpastrom import steps
        from jwst_hpastrom.integration import get_steps

        by_alias = {alias: getattr(steps, name.split(".")[-1]) for name, alias, _ in get_steps()}
        common = shared([*by_alias.values()])
        alias = self.arguments[0]
        if alias == "common":
            found = parameters(by_alias["hp_epsf_fit"])
            names = common
        else:
            found = parameters(by_alias[alias])
            names = [n for n in found if n not in common]
        rows = [(f"``{n}``", *(self.cell(c) for c in found[n])) for n in names]
        return self.parse_text_to_nodes(table(rows))

    def cell(self, text):
        """Return text whose stars are no markup."""
        if text.startswith("``"):
            return text
        return re.sub(r"(\w+://[\w:]+)", r"``\1``", re.sub(r"([*|_\\`])", r"\\\1", text))

    def parse_text_to_nodes(self, text):
        """Return the nodes of a piece of reStructuredText."""
        from docutils import nodes

        node = nodes.Element()
        lines = text.splitlines()
        self.state.nested_parse(StringList(lines, "step-parameters"), self.content_offset, node)
        return node.children


def setup(app):
    """Register the directive."""
    app.add_directive("step-parameters", StepParameters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
