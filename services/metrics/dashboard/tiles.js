// Headline figures of the range, each with what it rests on and how it compares with the range before.

import { kpi } from "./api.js";
import { byId, h } from "./dom.js";
import * as format from "./format.js";
import { asked, before } from "./range.js";

const counts = (row) => ({ text: format.count(row.value), value: row.value });
const interval = (row, show) => (row.low === null ? "" : `, 95 % between ${show(row.low)} and ${show(row.high)}`);

/** `note` says what a figure rests on; `compares` by how it changed: relative, or the difference for scores. */
const TILES = [
  { id: "journeys", title: "Journeys started", show: counts },
  { id: "people", title: "Active people", show: counts },
  { id: "touchpoints", title: "Touchpoints", show: counts },
  { id: "visits", title: "Visits", show: counts },
  { id: "orders", title: "Orders", show: counts },
  {
    id: "gross_revenue", title: "Gross revenue", by: "currency",
    show: (row) => ({ text: format.money(row.value, row.currency), value: row.value }),
    note: (row, others) => `${format.counted(row.n, "order")}${others.map((other) => `, ${format.money(other.value, other.currency)}`).join("")}`,
  },
  { id: "cases_opened", title: "Service cases", show: counts },
  {
    id: "nps", title: "NPS", score: true,
    show: (row) => ({ text: format.points(row.value), value: row.value }),
    note: (row) => format.counted(row.n, "answer"),
    full: (row) => `${format.counted(row.n, "answer")}${interval(row, format.points)}`,
  },
  {
    id: "csat", title: "CSAT", score: true,
    show: (row) => ({ text: row.value === null ? format.NONE : format.percent(row.value / 100), value: row.value }),
    note: (row) => format.counted(row.n, "answer"),
    full: (row) => `${format.counted(row.n, "answer")}${interval(row, (value) => format.percent(value / 100))}`,
  },
];

export function prepare() {
  byId("tiles").replaceChildren(...TILES.map((tile) => article(tile)));
}

/** Ask for every figure of the range and of the one before. */
export async function show({ range, extent }, signal) {
  const earlier = before(range);
  const compares = earlier.from >= extent.first;
  await Promise.all(
    TILES.map(async (tile) => {
      const ask = (days) => kpi(tile.id, { ...asked(days), ...(tile.by ? { by: tile.by } : {}) }, signal);
      const element = byId(`tile-${tile.id}`);
      element.setAttribute("aria-busy", "true");
      try {
        const [now, then] = await Promise.all([ask(range), compares ? ask(earlier) : null]);
        fill(element, tile, now.rows, then?.rows ?? []);
      } finally {
        element.removeAttribute("aria-busy");
      }
    }),
  );
}

function article({ id, title }) {
  return h("article", { class: "tile", id: `tile-${id}` }, h("h2", {}, title), h("p", { class: "figure" }, " "), h("p", { class: "note" }, " "));
}

function fill(element, tile, rows, earlier) {
  const [first, ...others] = [...rows].sort((a, b) => (b.value ?? 0) - (a.value ?? 0));
  const [figure, note] = element.querySelectorAll("p");
  const row = first ?? { value: tile.score ? null : 0, n: 0, low: null };
  figure.textContent = first || !tile.by ? tile.show(row).text : format.NONE;
  figure.dataset.value = String(row.value);
  const was = earlier.find((candidate) => candidate.currency === row.currency);
  const texts = [tile.note?.(row, others.filter((other) => other.value)), change(tile, row, was)].filter(Boolean);
  note.replaceChildren(...texts.flatMap((text, place) => (place ? [" · ", text] : [text])));
  element.title = tile.full?.(row) ?? "";
}

function change(tile, row, was) {
  if (!was?.value || row.value === null || (tile.score && was.value === null)) return null;
  const amount = tile.score ? row.value - was.value : row.value / was.value - 1;
  const text = tile.score ? `${format.points(amount)} pts` : `${amount > 0 ? "+" : ""}${format.percent(amount)}`;
  return h("span", { class: amount > 0 ? "up" : amount < 0 ? "down" : "", title: "against as many days before" }, text);
}
