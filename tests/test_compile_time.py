"""What numba takes seconds to compile stays out of the kernels that the pipeline compiles at first use."""

import ast
from pathlib import Path

import pytest

import jwst_hpastrom

PACKAGE = Path(jwst_hpastrom.__file__).parent
FOLDERS = ("epsf", "distortion", "frame", "geometry", "numerics")
#: compiled once for each kind of array, at a second each: `numerics.robust_kernels` has what stands for them
SLOW = {"sort", "argsort", "median", "searchsorted", "quantile", "percentile", "unique"}
KERNELS = sorted(p for f in FOLDERS for p in (PACKAGE / f).rglob("*kernels.py"))


def slow_parts(tree):
    """Calls of numpy's sorting, and arrays assigned to slices, whose error message numba compiles."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SLOW:
            yield node.lineno, node.func.attr
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            target = node.targets[0].slice
            if isinstance(target, ast.Slice) and isinstance(node.value, ast.Name) and node.value.id != "np":
                yield node.lineno, "slice"


@pytest.mark.parametrize("path", KERNELS, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_slow_parts(path):
    assert not list(slow_parts(ast.parse(path.read_text())))
