"""The box at the top of the page: what the checks say."""

import html

from jwst_hpastrom.checks import condense, overall

__all__ = ["verdict_box"]

WORDS = {"ok": "All {} checks are ok.", "look": "Worth a look.", "bad": "Something is wrong."}


def verdict_box(checks):
    """Return the checks as a box of HTML, the bad ones first.

    Parameters
    ----------
    checks : list of `~jwst_hpastrom.checks.Check`
        As `~jwst_hpastrom.checks.check_products` gives them.

    Returns
    -------
    str
        Empty where nothing was checked.
    """
    if not checks:
        return ""
    verdict = overall(checks)
    noted = [c for c in checks if c.verdict != "ok"]
    lines = [
        f'<div class="verdict {verdict}"><p><b>{verdict.upper()}</b>: {WORDS[verdict].format(len(checks))}'
    ]
    if noted:
        lines.append(f"Likely cause: {html.escape(noted[0].causes[0])}.")
    lines.append("</p>")
    if noted:
        head = "".join(f"<th>{h}</th>" for h in ("check", "found", "expected", "likely causes", "remedy"))
        rows = [
            f'<tr class="{c.verdict}">'
            + "".join(
                f"<td>{html.escape(text)}</td>"
                for text in (
                    f"{c.name}{f' ({c.about})' if c.about else ''}", f"{c.value:.3g}", c.expected,
                    "; ".join(c.causes), c.remedy,
                )
            )
            + "</tr>"
            for c in condense(noted)
        ]  # fmt: skip
        lines.append(f'<div class="table"><table><tr>{head}</tr>{"".join(rows)}</table></div>')
    if noted:
        lines.append(f"<p>{len(checks) - len(noted)} of {len(checks)} checks are ok.</p>")
    lines.append("</div>")
    return "\n".join(lines)
