// Keys, the address of a filter, a box that ticks all, buttons that copy, and the chart. Every page works without
// this file.
"use strict";

// `/` goes to the search box, as on other consoles; not while something is typed.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  const search = document.getElementById("search");
  if (event.key === "/" && !typing && search && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});

// A filter that is empty stays out of the address, so that a bookmark says only what it means.
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form.filter")) return;
  for (const field of event.target.elements) {
    if (field.name && !field.value) field.disabled = true;
  }
  window.addEventListener("pageshow", () => {
    for (const field of event.target.elements) field.disabled = false;
  }, { once: true });
});

// One box that ticks all others of its form; without this file it stays hidden.
for (const box of document.querySelectorAll("input[data-choose-all]")) {
  box.hidden = false;
  box.addEventListener("change", () => {
    for (const each of box.form.querySelectorAll("input[type=checkbox]")) each.checked = box.checked;
  });
}

// A button beside each id. On plain HTTP a browser gives scripts no clipboard, so there the text is selected.
async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

for (const place of document.querySelectorAll("[data-copy]")) {
  const id = place.textContent.trim();
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy secondary outline";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy ${id}`);
  button.addEventListener("click", async () => {
    await copy(id);
    button.textContent = "Copied";
    button.focus();
  });
  place.after(" ", button);
}

// Numbers that are live no more look as they did: whoever reads them has to be told.
const stale = document.getElementById("stale");
// Readings are taken every two seconds, and the stream begins anew each minute.
const READINGS_MAX = 10;
function isStale(answer) {
  const shown = document.querySelector("[data-reading]");
  return !shown || Math.abs(answer.headers.get("x-reading") - shown.dataset.reading) > READINGS_MAX;
}

// The chart: a picture of numbers that stand on the page as text, too.
async function drawRates(place) {
  let chart = null;
  const colours = getComputedStyle(document.documentElement);
  const text = colours.getPropertyValue("--pico-color").trim() || "#888";
  const axis = { stroke: text, grid: { stroke: "rgba(128,128,128,.25)" } };
  // Times as the tables write them, in UTC: one page has one clock.
  const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 19) + "Z";
  const times = { ...axis, space: 90, incrs: [1, 5, 10, 30, 60, 300, 600, 1800, 3600], values: (_, marks) => marks.map(clock) };
  const series = [
    { label: "time", value: (_, seconds) => (seconds == null ? "–" : clock(seconds)) },
    { label: "received", stroke: "#0172ad", width: 1.5 },
    { label: "finished", stroke: "#398712", width: 1.5 },
  ];
  async function refresh() {
    if (document.hidden) return;
    let answer;
    try {
      answer = await fetch(place.dataset.source, { redirect: "error", signal: AbortSignal.timeout(4000) });
    } catch {
      // It is stopped, frozen or out of reach; or the session is over, which would lead to signing in.
    }
    stale.hidden = Boolean(answer?.ok) && !isStale(answer);
    if (!answer?.ok) return;
    const points = await answer.json();
    if (chart) {
      chart.setData(points);
    } else if (points[0].length > 1) {
      const size = { width: place.clientWidth, height: 180, padding: [8, 40, 0, 0] };
      chart = new uPlot({ ...size, axes: [times, axis], series }, points, place);
    }
  }
  await refresh().catch(() => {});
  setInterval(() => refresh().catch(() => {}), 5000);
  window.addEventListener("resize", () => chart?.setSize({ width: place.clientWidth, height: 180 }));
}

const rates = document.getElementById("rates");
if (rates) window.addEventListener("load", () => drawRates(rates));
