/** How a report looks: one style sheet, for light and dark. The canvas reads its colours from the same properties. */
export const STYLE = `
:root{--paper:#f6f7f9;--card:#fff;--line:#dfe3ea;--text:#1a2130;--soft:#5d687b;--faint:#8a94a6;--ok:#2f78c4;--failed:#d03b3b;--dead:#8e1f3f;--gone:#9aa3b2;--step:#7a5bc9;--wait:#e3b341;--again:#e07b1a;--band:#eef1f6;--good:#1f8a5b;--accent:#2f5fd0}
@media (prefers-color-scheme:dark){:root{--paper:#0f131a;--card:#171d27;--line:#2a3342;--text:#e6eaf2;--soft:#a0abbe;--faint:#76829a;--ok:#5aa2ee;--failed:#f0706a;--dead:#d8557c;--gone:#6b778c;--step:#a98df0;--wait:#d9a93a;--again:#f09a4a;--band:#1e2633;--good:#4cc38a;--accent:#86a8ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--text);font:14px/1.45 ui-sans-serif,system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1240px;margin:0 auto;padding:24px 20px 60px}
h1{font-size:22px;line-height:1.2;margin:0 0 6px;overflow-wrap:anywhere}
h2{font-size:15px;margin:0 0 10px}
.sub{color:var(--soft);overflow-wrap:anywhere}
.chip{display:inline-block;border-radius:10px;padding:1px 9px;font-size:12px;font-weight:600;color:#fff;background:var(--gone);margin-left:10px;vertical-align:middle}
.chip.completed{background:var(--good)}.chip.failed{background:var(--failed)}.chip.running{background:var(--ok)}
@media (prefers-color-scheme:dark){.chip{color:#10151e}}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px;margin-top:16px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-top:18px}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.tile b{display:block;font-size:20px;font-weight:650;font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:12px}
.tile small{display:block;color:var(--faint);font-size:12px}
.error{border-color:var(--failed)}
pre{margin:8px 0 0;padding:10px;background:var(--band);border-radius:6px;overflow:auto;max-height:340px;font:12px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
.scroll{overflow:auto;max-height:460px}
.flow svg{max-width:none}.flow .graflow .paper{fill:none}
canvas{display:block;width:100%;cursor:crosshair;touch-action:pan-y}
.bar{display:flex;gap:14px;flex-wrap:wrap;align-items:center;color:var(--soft);font-size:12px;margin-bottom:10px}
.bar i{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:5px;vertical-align:-1px}
button,input{font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:6px;padding:4px 10px}
button{cursor:pointer}
button:focus-visible,input:focus-visible,summary:focus-visible,canvas:focus-visible{outline:2px solid var(--accent);outline-offset:1px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{font-size:12px;color:var(--soft);font-weight:600;text-align:left;position:sticky;top:0;background:var(--card);padding:4px 12px 6px 0;white-space:nowrap}
td{padding:5px 12px 5px 0;border-top:1px solid var(--line);vertical-align:top}
th.n,td.n{text-align:right}
td.path{font:12px/1.6 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:nowrap}
td.name{overflow-wrap:anywhere;min-width:120px}
.bad{color:var(--failed)}.soft{color:var(--faint)}.late{color:var(--again)}
.strip{display:flex;height:26px;border-radius:6px;overflow:hidden;margin-bottom:12px;background:var(--band)}
.strip div{min-width:1px}
details{border-top:1px solid var(--line);padding:8px 0}
details:first-of-type{border-top:0}
summary{cursor:pointer;overflow-wrap:anywhere}
summary code,.sub code{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;color:var(--soft)}
#tip{position:fixed;pointer-events:none;background:var(--text);color:var(--paper);border-radius:6px;padding:6px 9px;font-size:12px;max-width:340px;white-space:pre-line;overflow-wrap:anywhere;z-index:2;display:none}
.notes{color:var(--soft);font-size:13px}
.badge{font:600 11px ui-sans-serif,system-ui,sans-serif!important;fill:var(--good)!important;paint-order:stroke;stroke:var(--card);stroke-width:3px}
.badge.bad{fill:var(--failed)!important}
@media print{section,.tile{break-inside:avoid}}
`
