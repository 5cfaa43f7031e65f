"""Directive ``verdict-names``: every verdict by its name, with causes and remedy, from the code."""

import ast
import importlib
import inspect
import pkgutil

from docutils import nodes
from docutils.parsers.rst import Directive

HEAD = "What hpastrom check says", "Likely causes", "Remedy"


class Module:
    """One module of checks: its functions, its constants, and what ``judge`` is called with in it."""

    def __init__(self, name):
        self.module = importlib.import_module(name)
        self.open = set()
        tree = ast.parse(inspect.getsource(self.module))
        self.functions = {f.name: f for f in tree.body if isinstance(f, ast.FunctionDef)}

    def rows(self):
        """Return (name, causes, remedy) of every verdict, in the order of the code."""
        judging = {n for n, f in self.functions.items() if self._calls(f, {"judge"})}
        for function in self.functions.values():
            for call in self._calls(function, {"judge"}):
                given = {k.arg: k.value for k in call.keywords}
                causes = self.words(given["causes"], function)
                remedy = " ".join(self.words(given["remedy"], function))
                arguments = [a.arg for a in function.args.args]
                if isinstance(call.args[1], ast.Name) and call.args[1].id in arguments:
                    # a function that judges for others gives what they have in common
                    place = arguments.index(call.args[1].id)
                    for caller in self.functions.values():
                        for outer in self._calls(caller, {function.name} & judging):
                            own = [w for a in outer.args[place + 1 :] for w in self.words(a, caller)]
                            yield self.words(outer.args[place], caller)[0], own + causes, remedy
                    continue
                for name in self.words(call.args[1], function):
                    yield name, causes, remedy

    def words(self, node, function):
        """Return the texts that an expression can come to, the likeliest first."""
        if isinstance(node, ast.Constant):
            return [node.value] if isinstance(node.value, str) and node.value else []
        if isinstance(node, ast.JoinedStr):
            parts = (v.value if isinstance(v, ast.Constant) else "…" for v in node.values)
            return ["".join(parts)]
        if isinstance(node, ast.Name):
            constant = getattr(self.module, node.id, None)
            if isinstance(constant, str | tuple):
                return (
                    [constant] if isinstance(constant, str) else [c for c in constant if isinstance(c, str)]
                )
            if (function.name, node.id) in self.open:  # a name that is made of itself
                return []
            self.open.add((function.name, node.id))
            values = [v for target, v in self._assigned(function) if target == node.id]
            found = self._all(values, function)
            self.open.remove((function.name, node.id))
            return found
        if isinstance(node, ast.Call):
            inner = self.functions.get(getattr(node.func, "id", ""))
            if inner is None:
                return []
            own = [r.value for r in ast.walk(inner) if isinstance(r, ast.Return) and r.value]
            return self._all(own, inner) + self._all(node.args, function)
        if isinstance(node, ast.BinOp):  # a text and what may be added to it
            return self.words(node.left, function) + (
                [] if isinstance(node.left, ast.Constant) else self.words(node.right, function)
            )
        if isinstance(node, ast.IfExp):
            return self._all([node.body, node.orelse], function)
        if isinstance(node, ast.Tuple | ast.List | ast.BoolOp):
            return self._all(node.elts if hasattr(node, "elts") else node.values, function)
        return self.words(node.value, function) if isinstance(node, ast.Starred | ast.Subscript) else []

    def _all(self, parts, function):
        return list(dict.fromkeys(w for p in parts for w in self.words(p, function)))

    @staticmethod
    def _calls(function, names):
        return [
            n for n in ast.walk(function) if isinstance(n, ast.Call) and getattr(n.func, "id", "") in names
        ]

    @staticmethod
    def _assigned(function):
        for node in ast.walk(function):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                        yield from (
                            (getattr(t, "id", ""), v)
                            for t, v in zip(target.elts, node.value.elts, strict=True)
                        )
                    else:
                        yield getattr(target, "id", ""), node.value


def rows():
    """Return (name, causes, remedy) of every verdict that there is."""
    from jwst_hpastrom import checks

    names = [f"{checks.__name__}.{m.name}" for m in pkgutil.iter_modules(checks.__path__)]
    return [row for name in names for row in Module(name).rows()]


class VerdictNames(Directive):
    """``.. verdict-names::``, without arguments."""

    def run(self):
        """Make the table."""
        table, body, head = nodes.table(), nodes.tbody(), nodes.thead()
        group = nodes.tgroup(cols=3)
        group += [nodes.colspec(colwidth=w) for w in (32, 40, 28)]
        head += self.row(HEAD)
        body += [self.row((name, "; ".join(causes), remedy)) for name, causes, remedy in sorted(rows())]
        group += [head, body]
        table += group
        table["classes"] += ["colwidths-given"]
        return [table]

    @staticmethod
    def row(cells):
        """Return a row of a table."""
        out = nodes.row()
        for cell in cells:
            entry = nodes.entry()
            entry += nodes.paragraph(text=cell)
            out += entry
        return out


def setup(app):
    """Register the directive."""
    app.add_directive("verdict-names", VerdictNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
