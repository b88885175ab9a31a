// The timelines: the frame under the pointer, a finger or the arrow keys is shown in the card.
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
    line(".when", `${clock(time)} \u00b7 frame ${frame + 1} of ${row.t.length}`, []);
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
    line(".more", more.join(" \u00b7 "), []);
    card.hidden = false;
    lanes.append(cursor);
    cursor.style.left = `${(100 * time) / row.span}%`;
    lanes.dataset.frame = frame;
    lanes.setAttribute("aria-valuenow", frame);
    lanes.setAttribute("aria-valuetext", card.innerText.replace(/\s+/g, " "));
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
