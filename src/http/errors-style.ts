/** The page of errors, on a screen of any width, in the dark, and on paper. */
export const ERRORS_STYLE = `
:root {
  color-scheme: light dark;
  --ground: light-dark(#ffffff, #16181d);
  --raised: light-dark(#f5f6f8, #1f2229);
  --line: light-dark(#d9dce2, #343944);
  --text: light-dark(#1b1e24, #e6e8ec);
  --muted: light-dark(#5a6170, #a3aab8);
  --accent: light-dark(#0b5cad, #7db8ff);
  --good: light-dark(#146c37, #6fd399);
  --warn: light-dark(#8a4b00, #f0b561);
}
* { box-sizing: border-box }
html { scroll-behavior: smooth }
body { margin: 0; background: var(--ground); color: var(--text); font: 1rem/1.55 system-ui, sans-serif }
a { color: var(--accent) }
a:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 2px }
code, pre { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
.page { display: grid; grid-template: "toc head" auto "toc main" 1fr / 17rem minmax(0, 1fr); column-gap: 3rem; max-width: 72rem; margin: 0 auto; padding: 2rem 1.5rem 6rem }
.page > header { grid-area: head }
main { grid-area: main }
.narrow { display: none }
.narrow summary { padding: .5rem 0; cursor: pointer; font-weight: 600 }
.narrow summary:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 2px }
.toc { grid-area: toc; position: sticky; top: 0; align-self: start; max-height: 100vh; overflow: auto; padding: 1rem 0; font-size: .875rem }
.toc h2 { margin: 1rem 0 .25rem; font-size: .75rem; color: var(--muted) }
.toc ul { margin: 0; padding: 0; list-style: none }
.toc a { display: block; padding: .15rem 0; overflow-wrap: anywhere; color: inherit; text-decoration: none }
.toc a:hover { color: var(--accent); text-decoration: underline }
h1 { margin: 0 0 .5rem; font-size: 2rem; line-height: 1.2 }
main > h2:first-child { margin-top: 1.5rem }
main > h2 { margin: 3.5rem 0 0; padding-bottom: .5rem; border-bottom: 1px solid var(--line) }
.lead { max-width: 44rem; color: var(--muted) }
.code { padding: 1.5rem 0 .5rem; border-bottom: 1px solid var(--line); scroll-margin-top: 1rem }
.code:target, .code:has(> :target) { margin: 0 -1rem; padding-inline: 1rem; background: var(--raised); border-radius: .5rem }
.code h3 { display: flex; flex-wrap: wrap; gap: .35rem .75rem; align-items: baseline; margin: 0 0 .5rem; font-size: 1.125rem }
.code h3 a { color: inherit; text-decoration: none; overflow-wrap: anywhere }
.code h3 a:hover::after { content: " #"; color: var(--muted) }
.tag { padding: .05rem .5rem; border: 1px solid var(--line); border-radius: 1rem; font: .75rem/1.5 ui-monospace, monospace; color: var(--muted) }
dl { display: grid; grid-template-columns: 7.5rem minmax(0, 1fr); gap: .25rem 1rem; margin: 0 }
dt { color: var(--muted) }
dd { margin: 0; max-width: 44rem }
.no { color: var(--good) }
.mind { color: var(--warn) }
pre { margin: .75rem 0 1rem; padding: .75rem 1rem; overflow-x: auto; background: var(--raised); border: 1px solid var(--line); border-radius: .5rem }
@media (max-width: 56rem) {
  .page { grid-template: "head" "toc" "main" / minmax(0, 1fr); row-gap: 1rem; padding-top: 1rem }
  .toc { position: static; max-height: none; padding: .25rem 0; border-bottom: 1px solid var(--line) }
  .wide { display: none }
  .narrow { display: block }
  .narrow[open] { columns: 2 }
  .narrow summary { column-span: all }
  .toc section { break-inside: avoid }
}
@media (max-width: 30rem) {
  .narrow[open] { columns: 1 }
  dl { grid-template-columns: minmax(0, 1fr) }
  dd { margin-bottom: .5rem }
}
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto } }
@media print {
  :root { color-scheme: light }
  .toc { display: none }
  .page { display: block; max-width: none; padding: 0 }
  .code { break-inside: avoid }
  .code:target, .code:has(> :target) { margin: 0; padding-inline: 0; background: none }
  pre { white-space: pre-wrap }
  a { color: inherit; text-decoration: none }
}
`;
