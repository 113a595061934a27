// Headline figures of the range, each with what it consists of and how it compares with the days before.

import { kpi } from "./api.js";
import { byId, h } from "./dom.js";
import * as format from "./format.js";
import { asked, before } from "./range.js";

const sum = (rows) => rows.reduce((total, row) => total + row.value, 0);
const of = (rows, by, value) => rows.find((row) => row[by] === value)?.value ?? 0;
const largest = (rows) => rows.reduce((most, row) => (row.value > (most?.value ?? 0) ? row : most), null);
const answers = (row) => `n = ${format.count(row.n)}${row.low === null ? "" : `, ${format.count(row.low)} … ${format.count(row.high)}`}`;
const ofHundred = (value) => format.percent(value === null ? null : value / 100);

function most(rows, by) {
  const row = largest(rows.filter((candidate) => candidate[by]));
  return row ? `${format.count(row.value)} ${row[by].replaceAll("_", " ")}` : "";
}

/** `by` splits a count; `note` tells of the parts. `worth` and `score` are not sums of their rows. */
const TILES = [
  { id: "journeys", title: "Journeys started", by: "entry_stage", note: (rows) => `${format.count(of(rows, "entry_stage", "awareness"))} new` },
  { id: "people", title: "Active people", by: "identified", note: unidentified },
  { id: "touchpoints", title: "Touchpoints", by: "channel", note: (rows) => most(rows, "channel") },
  { id: "visits", title: "Visits", by: "channel", note: (rows) => most(rows, "channel") },
  { id: "orders", title: "Orders", by: "stage", note: (rows) => `${format.count(of(rows, "stage", "loyalty"))} repeated` },
  { id: "gross_revenue", title: "Gross revenue", by: "currency", worth: true, note: (rows) => format.counted(largest(rows)?.n ?? 0, "order") },
  { id: "cases_opened", title: "Service cases", by: "topic", note: (rows) => most(rows, "topic") },
  { id: "nps", title: "NPS", score: format.points, note: ([row]) => answers(row) },
  { id: "csat", title: "CSAT", score: ofHundred, note: ([row]) => answers(row) },
];

function unidentified(rows) {
  const known = of(rows, "identified", "true");
  const others = sum(rows) - known;
  return others ? `${format.count(others)} unidentified` : "all identified";
}

export function prepare() {
  byId("tiles").replaceChildren(...TILES.map(article));
}

function article({ id, title }) {
  const blank = () => "\u00a0";
  return h("article", { class: "tile", id: `tile-${id}` }, h("h2", {}, title), h("p", { class: "figure" }, blank()), h("p", { class: "note" }, blank()));
}

/** Ask for every figure of the range and of as many days before, where there were data then. */
export async function show({ range, extent }, signal) {
  const earlier = before(range);
  const compares = earlier.from >= extent.first;
  await Promise.all(
    TILES.map(async (tile) => {
      const ask = (days) => kpi(tile.id, { ...asked(days), ...(tile.by ? { by: tile.by } : {}) }, signal);
      const [now, then] = await Promise.all([ask(range), compares ? ask(earlier) : null]);
      fill(byId(`tile-${tile.id}`), tile, now.rows, then?.rows ?? null);
    }),
  );
}

function valueOf(tile, rows, currency) {
  if (tile.score) return rows[0].value;
  return sum(tile.worth ? rows.filter((row) => row.currency === currency) : rows);
}

function fill(element, tile, rows, earlier) {
  const [figure, note] = element.querySelectorAll("p");
  const currency = tile.worth ? largest(rows)?.currency : null;
  const value = valueOf(tile, rows, currency);
  figure.textContent = tile.score ? tile.score(value) : tile.worth ? (currency ? format.money(value, currency) : format.NONE) : format.count(value);
  figure.dataset.value = String(value);
  const others = tile.worth ? rows.filter((row) => row.value && row.currency !== currency).map((row) => format.money(row.value, row.currency)) : [];
  const told = [tile.note(rows), ...others].filter(Boolean).join(", ");
  const changed = earlier ? change(tile, value, valueOf(tile, earlier, currency)) : null;
  note.replaceChildren(...(changed ? [changed, " · "] : []), told || "\u00a0");
  note.title = tile.score ? `${told} (answers, and the 95 % interval)` : told;
}

function change(tile, value, was) {
  if (value === null || was === null || (!tile.score && !was)) return null;
  const amount = tile.score ? value - was : value / was - 1;
  const text = tile.score ? format.points(amount) : format.signedPercent(amount);
  return h("span", { class: amount > 0 ? "up" : amount < 0 ? "down" : "", title: "against as many days before" }, text);
}
