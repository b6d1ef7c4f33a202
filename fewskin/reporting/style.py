"""The page's one style sheet: phone, desktop, paper, light and dark."""

__all__ = ["CSS"]

CSS = """
:root {
  color-scheme: light dark;
  --ink: #1b1f24; --muted: #5b636d; --grid: #d5d9de; --paper: #ffffff; --panel: #f6f7f9;
  --accent: #0b57a4; --claim: #e6f4ee; --claim-edge: #00704f;
  --warn: #fdf1df; --warn-edge: #a85a00;
  --s0: #59636e; --s1: #0072b2; --s2: #d55e00; --s3: #009e73; --s4: #cc79a7; --s5: #e69f00;
  --s6: #56b4e9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e9ed; --muted: #9aa4af; --grid: #3a424c; --paper: #14181d; --panel: #1c2229;
    --accent: #7fbdf5; --claim: #12312a; --claim-edge: #37c293;
    --warn: #36280f; --warn-edge: #e8a33d;
    --s0: #a7b0ba; --s1: #4aa8e8; --s2: #ff8a3d; --s3: #2fc898; --s4: #e39ac4; --s5: #f2b632;
    --s6: #8fd0f5;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 6px; text-wrap: balance; }
h2 { font-size: 1.3rem; line-height: 1.25; margin: 52px 0 10px; padding-top: 14px;
  border-top: 2px solid var(--ink); }
p, ul { max-width: 74ch; margin: 8px 0; }
li { margin: 4px 0; }
p, li, h1, h2, h3, figcaption { overflow-wrap: anywhere; }
td, th { overflow-wrap: break-word; max-width: 36em; }
a { color: var(--accent); }
.answer { font-size: 1.18rem; line-height: 1.4; margin: 12px 0 16px; max-width: 62ch;
  font-weight: 600; }
.date, .note { color: var(--muted); font-size: .9rem; }
.lead { font-size: 1.06rem; }
.banner, .warning, .claim { padding: 10px 14px; border-left: 5px solid; border-radius: 3px;
  max-width: none; }
.banner, .warning { background: var(--warn); border-color: var(--warn-edge); }
.banner + .banner { margin-top: 6px; }
.claim { background: var(--claim); border-color: var(--claim-edge); }
nav { margin: 20px 0 0; font-size: .92rem; }
nav ol { columns: 3 240px; column-gap: 28px; margin: 6px 0; padding-left: 1.5em; }
nav li { margin: 2px 0; break-inside: avoid; }
.scroll { overflow-x: auto; }
figure.table { margin: 16px 0 24px; }
.table figcaption { margin: 0 0 6px; }
table { border-collapse: collapse; font-size: .86rem; line-height: 1.35;
  font-variant-numeric: tabular-nums; }
figcaption { text-align: left; color: var(--ink); font-size: .9rem; line-height: 1.4;
  max-width: 92ch; }
figcaption b { margin-right: .35em; }
th, td { padding: 5px 10px 5px 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--grid); }
th { border-bottom: 1.5px solid var(--ink); font-weight: 600; vertical-align: bottom; }
.num { text-align: right; padding-left: 6px; }
td.num { white-space: nowrap; }
th.num { max-width: 9.5em; }
td.long { min-width: 16em; }
tr.marked td { background: var(--claim); }
tr.marked td:first-child { box-shadow: inset 4px 0 var(--claim-edge); padding-left: 10px; }
figure { margin: 18px 0 26px; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(300px, 100%), 1fr));
  gap: 16px 26px; }
.panels.one { grid-template-columns: minmax(0, 480px); }
.panels.two { grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 420px)); }
.panel h3 { font-size: .92rem; margin: 0 0 2px; line-height: 1.3; }
.panel svg { display: block; width: 100%; height: auto; overflow: visible; }
.panels.small { display: flex; flex-wrap: wrap; }
.panels.small .panel { flex: 0 1 250px; }
.panel { break-inside: avoid; min-width: 0; }
figcaption { margin-top: 10px; }
.strips td { border: 0; padding: 2px 12px 2px 0; vertical-align: middle; }
.strips img { display: block; height: auto; max-width: min(100%, 76vw); }
.strips tr:first-child td { font-weight: 600; }
pre { background: var(--panel); padding: 10px 14px; overflow-x: auto; font-size: .86rem;
  white-space: pre-wrap; overflow-wrap: anywhere; border-radius: 3px; }
@media (max-width: 560px) {
  body { font-size: 15px; }
  main { padding: 16px 14px 48px; }
  h1 { font-size: 1.4rem; }
  .answer { font-size: 1.05rem; }
  .strips, .strips tbody, .strips tr, .strips td { display: block; }
}
@media print {
  :root {
    color-scheme: light;
    --ink: #000; --muted: #444; --grid: #ccc; --paper: #fff; --panel: #f4f4f4; --accent: #000;
    --claim: #e6f4ee; --claim-edge: #00704f; --warn: #fdf1df; --warn-edge: #a85a00;
    --s0: #59636e; --s1: #0072b2; --s2: #d55e00; --s3: #009e73; --s4: #cc79a7; --s5: #e69f00;
    --s6: #56b4e9;
  }
  @page { size: A4; margin: 14mm 13mm; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  html { font-size: 12.5px; }
  body { font-size: 1rem; }
  main { max-width: none; padding: 0; }
  nav { display: none; }
  h2 { margin-top: 26px; break-after: avoid; }
  p, li { orphans: 3; widows: 3; max-width: none; }
  .scroll { overflow: visible; }
  table { font-size: .8rem; }
  th, td { padding: 3px 7px 3px 0; }
  td.num { white-space: normal; }
  td.long { min-width: 12em; }
  thead { display: table-header-group; }
  tr, .panel, .strips, figcaption { break-inside: avoid; }
  .table figcaption { break-after: avoid; }
  .panels, .panels.two { grid-template-columns: 1fr 1fr; gap: 10px 20px; }
  .panels.small .panel { flex-basis: 160px; }
  .panel > h3 { break-after: avoid; }
  .strips img { max-height: 48px; width: auto; }
}
""".strip()
