"""How report.html looks, light and dark. A Python module, so that it is wherever the code is."""

STYLE = """\
:root {
  --page: #f6f7f9; --card: #fff; --ink: #1b2330; --soft: #667085; --line: #e4e7ec;
  --bar: #3f6fd8; --good: #17693f; --good-soft: #e7f5ed; --reserved: #8a5300;
  --reserved-soft: #fdf3dc; --partial: #b42318; --partial-soft: #fdeceb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #11151c; --card: #1a202b; --ink: #e6eaf2; --soft: #98a3b5; --line: #2b3443;
    --bar: #7ea2f5; --good: #6fd39f; --good-soft: #14291f; --reserved: #f0bf62;
    --reserved-soft: #2d2413; --partial: #f79a91; --partial-soft: #331b1a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif;
}
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
header { margin-bottom: 1.5rem; }
h1 { margin: 0; font-size: 1.6rem; overflow-wrap: anywhere; }
h2 { margin: 0 0 .75rem; font-size: 1.05rem; }
p { margin: 0; }
.kind { color: var(--soft); font-size: .8rem; letter-spacing: .08em; text-transform: uppercase; }
.note { color: var(--soft); font-size: .9rem; max-width: 50rem; margin-bottom: .75rem; }
.facts {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: .25rem 1.5rem;
  margin: .5rem 0 0; font-size: .9rem;
}
.facts > div { display: flex; gap: .5em; }
.facts dt { flex: none; width: 4.5em; }
.facts dt, footer { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
footer { margin-top: 1rem; font-size: .9rem; overflow-wrap: anywhere; }
.verdict {
  display: flex; align-items: center; gap: .75em; margin-top: 1.25rem; padding: .75rem 1rem;
  border-radius: 10px; font-weight: 600; color: var(--rank); background: var(--rank-soft);
  text-wrap: balance;
}
.verdict::before {
  flex: none; width: 1.5em; border-radius: 50%; text-align: center; color: var(--card);
  background: var(--rank); content: var(--sign);
}
.good { --rank: var(--good); --rank-soft: var(--good-soft); --sign: "✓"; }
.reserved { --rank: var(--reserved); --rank-soft: var(--reserved-soft); --sign: "!"; }
.partial { --rank: var(--partial); --rank-soft: var(--partial-soft); --sign: "✕"; }
section, .tiles > div {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
}
section { padding: 1.25rem; margin-top: 1rem; }
.tiles {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(8.75rem, 1fr)); gap: .75rem;
  margin: 0 0 .75rem;
}
.tiles > div { padding: .75rem .85rem; }
.tiles dd {
  margin: 0; font-size: 1.05rem; font-weight: 600; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere;
}
.tiles .none { color: var(--soft); font-weight: 400; }
.tiles .reserved { color: var(--rank); }
.tiles dt { color: var(--soft); font-size: .8rem; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
th, td { padding: .4rem .6rem; text-align: left; vertical-align: top; }
thead th { color: var(--soft); font-weight: 500; border-bottom: 1px solid var(--line); }
tbody tr + tr td, tbody tr + tr th { border-top: 1px solid var(--line); }
td { overflow-wrap: break-word; }
tbody tr > :first-child { overflow-wrap: anywhere; min-width: 9rem; }
td[data-name="Reason"], td[data-name="Text"] { min-width: 16rem; }
small { color: var(--soft); }
ul { margin: 0; padding-left: 1.2rem; font-size: .9rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
.classes tbody > tr > * { vertical-align: middle; }
.classes th[scope] { font-weight: 500; min-width: 5rem; }
.classes thead th:nth-child(n + 3), .number { text-align: right; white-space: nowrap; }
.number { font-variant-numeric: tabular-nums; }
.bar { width: 36%; min-width: 4rem; vertical-align: middle; }
.bar span { display: block; height: .8rem; border-radius: 3px; background: var(--bar); }
.histogram {
  display: flex; gap: 3px; height: 9rem; align-items: stretch;
  border-bottom: 1px solid var(--line);
}
.histogram div { flex: 1; display: flex; align-items: flex-end; }
.histogram span { width: 100%; background: var(--bar); border-radius: 3px 3px 0 0; }
.axis {
  display: flex; justify-content: space-between; color: var(--soft); font-size: .8rem;
  margin-top: .25rem;
}
@media (max-width: 40rem) {
  main { padding: 1.5rem .75rem 3rem; }
  section { padding: 1rem .75rem; }
  .facts { display: block; }
  table, thead, tbody { display: block; }
  th, td { padding: .2rem .3rem; }
  tbody tr > :first-child, td[data-name] { min-width: 0; }
  .rows thead { display: none; }
  .rows tr { display: flex; flex-wrap: wrap; column-gap: .75rem; padding: .4rem 0; }
  .rows tr > :first-child { flex-basis: 100%; font-weight: 500; }
  .rows td:not(:first-child)::before { content: attr(data-name) " "; color: var(--soft); }
  .classes tr { display: grid; grid-template-columns: repeat(3, 1fr); padding: .4rem 0; }
  .classes tr > :nth-child(-n + 2) { grid-column: 1 / -1; width: auto; }
  .classes thead th:nth-child(-n + 2) { display: none; }
  tbody tr + tr { border-top: 1px solid var(--line); }
  .rows tr > *, .classes tbody tr > * { border-top: 0; }
}
@media print {
  :root { --page: #fff; }
  main { max-width: none; padding: 0; }
  tr, .tiles > div, .histogram { break-inside: avoid; }
  .bar span, .histogram span, .verdict, .verdict::before { print-color-adjust: exact; }
}
"""
