"""How a bag's report looks, beside what every report does, and the script of its timelines."""

from __future__ import annotations

from caer_ros.offline.reports.bag import palette

STYLE = (
    palette.style()
    + """
main { max-width: 1200px; }
h1 { font-size: 26px; letter-spacing: -0.01em; } h3 { font-size: 15px; margin: 18px 0 8px; }
.manner { display: block; width: fit-content; font-size: 13px; font-weight: 600; letter-spacing: 0.03em; color: #fff;
  padding: 1px 11px; border-radius: 99px; background: #0072b2; margin: 6px 0 5px; }
.manner.recorded { background: #b04e00; }
.lead { margin: 2px 0 10px; color: var(--soft); max-width: 88ch; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 14px; margin: 12px 0 4px; }
nav a { color: #0072b2; text-decoration: none; border-bottom: 1px solid transparent; }
nav a:hover, nav a:focus-visible { border-color: currentColor; }
.figures { grid-template-columns: repeat(var(--columns), minmax(0, 1fr)); gap: 20px 28px; }
.figure:first-child strong { color: #0072b2; }
.figure strong em { font-style: normal; font-size: 15px; font-weight: 400; color: var(--soft); margin-left: 3px; }
.warning { background: #fff6e0; border: 1px solid #e69f00; border-radius: 10px; padding: 10px 16px; margin: 16px 0; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 22px 28px; }
.small { display: grid; grid-template-columns: repeat(auto-fill, minmax(165px, 1fr)); gap: 12px; }
.small figcaption { color: var(--ink); text-align: center; margin: 0; }
section > h3 { margin-top: 26px; }
.plots h3 { margin: 0 0 2px; } .plots .note { margin: 0 0 4px; }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr)); gap: 26px 40px;
  margin-top: 28px; align-items: start; } .tables h3 { margin: 0 0 6px; } .tables table { font-size: 14px; }
th:last-child, td:last-child { padding-right: 0; }
details { margin: 6px 0; } summary { cursor: pointer; color: #0072b2; font-size: 14px; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 4px 18px; margin: 0; font-size: 14px; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
code { font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", Consolas, monospace; overflow-wrap: anywhere; }
pre { background: var(--back); border-radius: 6px; padding: 10px 12px; margin: 0 0 12px; white-space: pre-wrap; }

.parts { display: flex; height: 24px; border-radius: 5px; overflow: hidden; margin: 4px 0 8px; }
.parts i { display: block; min-width: 2px; }
.swatch { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 6px;
  vertical-align: -1px; }
.label { white-space: nowrap; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 12px; font-size: 13px; }
.missed { box-shadow: inset 0 0 0 1px #8a96a3; }
.line-wrong { height: 4px; border-radius: 0; background: var(--ink); vertical-align: 3px; }
.line-delay { height: 8px; border-radius: 0; border: solid #d55e00; border-width: 0 0 2px 2px; }

.in-time { background: #009e73; } .late { background: #e69f00; } .dropped { background: #d55e00; }
.lost { background: repeating-linear-gradient(45deg, #1b2430 0 3px, #5d6b7a 3px 6px); }

.sideways { overflow-x: auto; margin: 0 -4px; padding: 0 4px 4px; }
.line { display: grid; grid-template-columns: 214px minmax(0, 1fr); gap: 14px; padding: 9px 0; align-items: center; }
.line + .line { border-top: 1px solid var(--line); } .line.thin { padding: 5px 0; }
.who { display: flex; align-items: center; gap: 10px; min-width: 0; position: sticky; left: 0; background: var(--card);
  z-index: 2; }
.who img { width: 44px; height: 44px; object-fit: cover; object-position: 50% 15%; border-radius: 50%; flex: none; }
.who div { min-width: 0; } .who b { display: block; font-weight: 600; overflow-wrap: anywhere; line-height: 1.25; }
.who small { display: block; line-height: 1.35; font-size: 12.5px; }
.lanes { position: relative; } .frames { cursor: crosshair; touch-action: pan-y; border-radius: 4px; outline: none; }
.frames:focus-visible { box-shadow: 0 0 0 2px #0072b2; }
.band { position: relative; height: 20px; } .band + .band { margin-top: 2px; }
.band i { position: absolute; top: 0; bottom: 0; overflow: hidden; font-style: normal; }
.band i b { display: block; font-size: 11.5px; line-height: 20px; font-weight: 500; padding: 0 5px; white-space: nowrap;
  overflow: hidden; text-overflow: ellipsis; }
.band i.missed b { width: fit-content; background: #fff; margin: 3px auto; line-height: 14px; padding: 0 4px; }
.band.truth { height: 24px; } .band.truth i b { line-height: 24px; font-weight: 600; font-size: 12.5px; }
.band .neither { box-shadow: inset 0 0 0 1px var(--line); color: var(--soft); }
.band.wrong { height: 4px; } .band.wrong i { background: var(--ink); }
.band.delays { height: 15px; } .band.delays i { overflow: visible; border-bottom: 2px solid #d55e00; bottom: 6px; }
.band.delays i::before { content: ""; position: absolute; left: -1px; top: -29px; bottom: -2px; width: 2px;
  background: #d55e00; } .band.delays i b { position: absolute; left: calc(100% + 4px); top: 1px; padding: 0;
  font-size: 11.5px; line-height: 14px; color: #b04e00; }
.band.delays .before b { left: auto; right: calc(100% + 4px); }
.band.delays .delay::after { content: ""; position: absolute; right: -1px; bottom: -4px; height: 6px; width: 2px;
  background: #d55e00; }
.band.false { height: 12px; } .band.false i { background: #d55e00; min-width: 1.5px; }
.band.fates { height: 12px; }
.axis { padding: 0; } .axis .lanes { height: 22px; border-top: 1px solid #8a96a3; }
.axis i { position: absolute; top: 0; height: 5px; border-left: 1px solid #8a96a3; }
.axis b { position: absolute; top: 4px; left: -1px; font: 11.5px/1.4 system-ui, sans-serif; color: var(--soft); }
.cursor { position: absolute; top: -3px; bottom: -3px; width: 1px; background: var(--ink); pointer-events: none; }
.card { position: fixed; z-index: 9; display: flex; gap: 12px; align-items: flex-start; background: var(--card);
  border: 1px solid var(--line); border-radius: 10px; box-shadow: 0 8px 28px #1b243033; padding: 10px 14px 10px 10px;
  font-size: 13px; line-height: 1.5; pointer-events: none; max-width: min(340px, calc(100vw - 16px)); }
.card[hidden] { display: none; } .card img { max-width: 96px; max-height: 96px; border-radius: 6px; }
.card img:not([src]) { display: none; } .card p { margin: 0; } .card .when, .card .more { color: var(--soft); }
.card .when { font-variant-numeric: tabular-nums; }

.errors figcaption { font-size: 13.5px; color: var(--ink); line-height: 1.5; }
.errors figcaption small { display: block; }
.errors { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 26px 22px; }
.kind { grid-column: span var(--columns); } .kind h3 { margin: 0 0 2px; } .kind .note { margin: 0 0 8px; }
.errors .gallery { grid-template-columns: repeat(var(--columns), minmax(0, 1fr)); gap: 20px 22px; }

@media (max-width: 960px) { .figures { grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); } }
@media (max-width: 640px) {
  .errors, .errors .gallery { grid-template-columns: minmax(0, 1fr); } .kind { grid-column: 1; }
  main { padding: 16px 10px 28px; } section { padding: 14px 12px; } h1 { font-size: 21px; }
  .figures { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px 14px; } .figure strong { font-size: 26px; }
  .line { grid-template-columns: minmax(0, 1fr); gap: 5px; } .axis .who { display: none; }
  .who { width: fit-content; max-width: calc(100vw - 60px); }
  dl { grid-template-columns: minmax(0, 1fr); } dt { margin-top: 6px; } .time { min-width: 0 !important; }
}
@media print {
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } body { background: #fff; font-size: 12px; }
  nav, .card { display: none; } main { max-width: none; padding: 0; } .time { min-width: 0 !important; }
  section { border-color: #ccc; } figure, .line, .plots > div, tr { break-inside: avoid; }
}
"""
)

SCRIPT = """
"use strict";
(() => {
  const source = document.getElementById("timeline");
  if (!source) return;
  const { labels, rows } = JSON.parse(source.textContent);
  const card = document.getElementById("card"), picture = card.querySelector("img");
  const cursor = document.createElement("i");
  cursor.className = "cursor";

  // Index -1 is the last of the labels, "no label", and -2 the one before it, "missed".
  const label = (index) => labels.at(index);
  const clock = (ms) => `${Math.floor(ms / 60000)}:${((ms % 60000) / 1000).toFixed(2).padStart(5, "0")}`;
  const nearest = (sorted, value) => {
    let low = 0, high = sorted.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (sorted[middle] <= value) low = middle; else high = middle;
    }
    return Math.abs(sorted[high] - value) < Math.abs(sorted[low] - value) ? high : low;
  };
  const frameAt = (times, time) => {  // a frame lasts until the next
    let index = nearest(times, time);
    if (times[index] > time && index > 0) index -= 1;
    return index;
  };
  const line = (name, before, found) => {
    const place = card.querySelector(name);
    place.textContent = before;
    found.forEach(([word, css], number) => {
      const swatch = document.createElement("i");
      swatch.className = "swatch " + css;
      place.append(number ? " " : "", swatch, word);
    });
  };

  const show = (lanes, frame, at) => {
    const row = rows[lanes.dataset.row], said = row.said[frame], score = row.score[frame];
    const truth = row.truth[frame];
    const time = row.t[frame];
    line(".when", `${clock(time)} \\u00b7 frame ${frame + 1} of ${row.t.length}`, []);
    line(".true", truth === null ? "true: not annotated" : "true ", (truth || []).map(label));
    if (truth && !truth.length) line(".true", "true: none of the labels", []);
    line(".told", "said ", [label(said)]);
    if (score >= 0) card.querySelector(".told").append(` ${score} %`);
    const more = row.iou[frame] >= 0 ? [`IoU ${row.iou[frame]} %`] : [];
    if (row.fate[frame]) more.push(`answer: ${row.fate[frame]}`);
    if (row.at.length) {
      const cut = nearest(row.at.map((index) => row.t[index]), time);
      picture.src = row.cuts[cut];
      if (row.at[cut] !== frame) more.push(`picture of ${clock(row.t[row.at[cut]])}`);
    } else picture.removeAttribute("src");
    line(".more", more.join(" \\u00b7 "), []);
    card.hidden = false;
    lanes.append(cursor);
    cursor.style.left = `${(100 * time) / row.span}%`;
    lanes.dataset.frame = frame;
    lanes.setAttribute("aria-valuenow", frame);
    lanes.setAttribute("aria-valuetext", card.innerText.replace(/\\s+/g, " "));
    const box = lanes.getBoundingClientRect(), x = at ?? box.left + (box.width * time) / row.span;
    const below = box.bottom + 8 + card.offsetHeight < innerHeight;
    card.style.left = `${Math.max(8, Math.min(x + 14, document.documentElement.clientWidth - card.offsetWidth - 8))}px`;
    card.style.top = `${below ? box.bottom + 8 : Math.max(8, box.top - card.offsetHeight - 8)}px`;
  };
  const hide = () => { card.hidden = true; cursor.remove(); };

  for (const lanes of document.querySelectorAll(".frames")) {
    const row = rows[lanes.dataset.row];
    const point = (event) => {
      const box = lanes.getBoundingClientRect();
      show(lanes, frameAt(row.t, (row.span * (event.clientX - box.left)) / box.width), event.clientX);
    };
    lanes.addEventListener("pointermove", point);
    lanes.addEventListener("pointerdown", point);
    lanes.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
    lanes.addEventListener("focus", () => {
      if (lanes.matches(":focus-visible")) show(lanes, +(lanes.dataset.frame || 0));
    });
    lanes.addEventListener("blur", hide);
    lanes.addEventListener("keydown", (event) => {
      const last = row.t.length - 1, now = +(lanes.dataset.frame || 0);
      const steps = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10, Home: -now, End: last - now };
      const step = steps[event.key];
      if (event.key === "Escape") hide();
      if (step === undefined) return;
      event.preventDefault();
      show(lanes, Math.max(0, Math.min(last, now + step)));
    });
  }
  addEventListener("scroll", hide, { passive: true });
})();
"""
