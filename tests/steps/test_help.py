"""What ``strun STEP --help`` says: every parameter is explained, in words of its own."""

import re

import pytest

from jwst_hpastrom import steps

STEPS = [name for name in steps.__all__ if name.endswith("Step")]
#: of the star fit: one sentence for two radii
SHARED = {"sky_inner", "sky_outer"}


def parameters(name):
    """Return [(name, spec, help)]."""
    lines = [line.strip() for line in getattr(steps, name).spec.splitlines() if line.strip()]
    return [re.match(r"(\w+) = (.+?\))(?:\s+#\s*(.*))?$", line).groups() for line in lines]


@pytest.mark.parametrize("step", STEPS)
def test_every_parameter_has_words_of_its_own(step):
    texts = {name: text for name, _, text in parameters(step)}
    assert all(texts.values()), [name for name, text in texts.items() if not text]
    own = [text for name, text in texts.items() if name not in SHARED]
    assert len(set(own)) == len(own), sorted({text for text in own if own.count(text) > 1})
    for name, text in texts.items():
        assert not re.match(r"(?i)(the same|see|as above)\b", text), (name, text)
        # the name is not the noun of its sentence: "degree: of the polynomial" explains nothing alone
        assert not text.startswith("Of "), (name, text)
        assert "`~" not in text, (name, text)  # a reference is for the documentation


@pytest.mark.parametrize("step", STEPS)
def test_every_choice_is_explained(step):
    """Of three choices or more the help says what each does, the default included."""
    for name, spec, text in parameters(step):
        choices = re.findall(r"'(\w+)'", spec.partition("default=")[0]) if spec.startswith("option") else []
        if len(choices) > 2:
            for choice in choices:
                assert re.search(rf"['\"]{choice}['\"]|\b{choice}\b", text), (name, choice, text)
