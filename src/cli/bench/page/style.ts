/** The colours are those of the project's other pictures: they differ also for those who see no red, no green or no blue. */
export const STYLE = `
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1f2328; --muted: #59636e; --grid: #e4e8ec; --edge: #d1d9e0; --read: #0a5fc4; --write: #c25100; --warn: #fff4d6 }
@media (prefers-color-scheme: dark) {
  :root { --ground: #0d1117; --ink: #f0f6fc; --muted: #9ca6b1; --grid: #262c34; --edge: #3d444d; --read: #58a6ff; --write: #f0883e; --warn: #3b2e0a }
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 808px; padding: 24px; background: var(--ground); color: var(--ink);
  font: 15px/1.5 -apple-system, BlinkMacSystemFont, "Segoe UI", "Noto Sans", Helvetica, Arial, "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums }
h1 { font-size: 24px; margin: 0 0 4px } h2 { font-size: 18px; margin: 36px 0 4px } h3 { font-size: 15px; margin: 20px 0 4px }
p { margin: 0 0 12px } .muted { color: var(--muted) } .break { overflow-wrap: anywhere }
.warn { background: var(--warn); border: 1px solid var(--edge); border-radius: 6px; padding: 8px 12px }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 16px 0 }
dt { color: var(--muted) } dd { margin: 0; overflow-wrap: anywhere } code { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace }
h3 .muted { font-weight: 400 } .scroll { overflow-x: auto; margin-bottom: 12px } table { border-collapse: collapse; width: 100%; font-size: 14px }
th, td { padding: 4px 8px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--grid) }
th { font-weight: 600; border-color: var(--edge) } th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left }
th:first-child, td:first-child { padding-left: 0 }
td.read::before, td.write::before, .key::before { content: ""; display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px; background: var(--read) }
td.write::before, .key.write::before { background: var(--write) } .key { margin-right: 16px }
svg { display: block; max-width: 100% } svg text { font-size: 12px; fill: var(--ink) } svg text.muted { fill: var(--muted) } svg text.small { font-size: 11px }
svg .grid { stroke: var(--grid) } rect.read { fill: var(--read) } rect.write { fill: var(--write) } rect:hover { opacity: .7 }
.curve path { fill: none; stroke-width: 2; stroke-linejoin: round } .curve .lead { stroke-width: 1; opacity: .5 }
.curve.read path { stroke: var(--read) } .curve.write path { stroke: var(--write) } .curve.read circle, svg .curve.read text { fill: var(--read) }
.curve.write circle, svg .curve.write text { fill: var(--write) } circle:hover { stroke: var(--ink); stroke-width: 2 }
svg:has(.curve:hover) .curve:not(:hover) { opacity: .25 } .curve:hover path { stroke-width: 3.5 }
.narrow { display: none }
@media (max-width: 760px) { body { padding: 16px 12px } .wide { display: none } .narrow { display: block } dl { grid-template-columns: 1fr; gap: 0 } dd { margin-bottom: 6px } }
`
