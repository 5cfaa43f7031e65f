"""Looks of the page, and the few lines of script that sort its tables."""

__all__ = ["SORT", "STYLE"]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1150px; color: #111; }
body { margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; margin-bottom: 0.2em; }
h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #ccc; }
h2 a { color: inherit; text-decoration: none; }
img { max-width: 100%; } figure { margin: 1.2em 0; }
figcaption { color: #333; font-size: 0.9em; max-width: 60em; }
table { border-collapse: collapse; font-size: 0.85em; }
div.table { overflow: auto; max-height: 30em; margin: 0.5em 0; }
td, th { padding: 0.15em 0.7em; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
td:first-child, th:first-child, td.words, th.words { text-align: left; }
th { vertical-align: bottom; } table.data th { cursor: pointer; position: sticky; top: 0; background: #fff; }
th .unit { font-weight: normal; color: #555; display: block; }
th[aria-sort=ascending]::after { content: " ↑"; } th[aria-sort=descending]::after { content: " ↓"; }
table.facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; vertical-align: top; }
table.facts td:first-child { color: #555; white-space: nowrap; }
nav ul { columns: 2; padding-left: 1.2em; margin: 0.5em 0; }
.verdict { border-left: 0.5em solid #2a2; background: #f6f6f6; padding: 0.3em 1em; margin: 1em 0; }
.verdict.look { border-color: #d90; } .verdict.bad { border-color: #c00; } tr.bad { background: #fdd; }
.verdict td { text-align: left; white-space: normal; }
details { margin: 0.6em 0; } summary { cursor: pointer; } .note { color: #a00; }
@media print {
  body { max-width: none; margin: 0; font-size: 11px; } nav, .interactive { display: none; }
  figure, tr, .verdict { break-inside: avoid; } h2 { break-after: avoid; }
  div.table { max-height: none; overflow: visible; } td, th { white-space: normal; padding: 0.1em 0.3em; }
}
"""

SORT = """
for (const head of document.querySelectorAll("table.data th")) head.addEventListener("click", () => {
  const table = head.closest("table"), place = [...head.parentNode.children].indexOf(head);
  const up = head.getAttribute("aria-sort") !== "ascending";
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = row => row.children[place].dataset.v ?? row.children[place].textContent;
  const rows = [...table.tBodies[0].rows].sort((a, b) => {
    const [p, q] = [key(a), key(b)], d = p - q;
    return isNaN(d) || p === "" || q === "" ? (p === "") - (q === "") || p.localeCompare(q) : d;
  });
  table.tBodies[0].append(...(up ? rows : rows.reverse()));
});
"""
