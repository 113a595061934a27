// Which days are shown. Days are texts, YYYY-MM-DD; `to` is the last day that is shown, the API's `to` the day after it.

import { kpi } from "./api.js";

const DAY_MS = 86400000;
const FIRST = "1900-01-01";

const at = (day) => Date.parse(`${day}T00:00:00Z`);
const text = (ms) => new Date(ms).toISOString().slice(0, 10);

export const plusDays = (day, n) => text(at(day) + n * DAY_MS);
export const daysBetween = (from, to) => Math.round((at(to) - at(from)) / DAY_MS);
export const isDay = (day) => /^\d{4}-\d{2}-\d{2}$/.test(day ?? "") && !Number.isNaN(at(day)) && text(at(day)) === day;
/** The Monday on or before a day. */
export const monday = (day) => plusDays(day, -((new Date(at(day)).getUTCDay() + 6) % 7));

function yearBefore(day) {
  const [year, month, date] = day.split("-").map(Number);
  const same = new Date(Date.UTC(year - 1, month - 1, date));
  return plusDays(text(same.getTime()), 1);
}

/** Ranges that end with the newest day that has data. */
export const PRESETS = [
  ["30", "30 days", ({ last }) => ({ from: plusDays(last, -29), to: last })],
  ["90", "90 days", ({ last }) => ({ from: plusDays(last, -89), to: last })],
  ["year", "This year", ({ last }) => ({ from: `${last.slice(0, 4)}-01-01`, to: last })],
  ["12", "12 months", ({ last }) => ({ from: yearBefore(last), to: last })],
  ["all", "All", ({ first, last }) => ({ from: first, to: last })],
];

export function ofPreset(id, extent) {
  return PRESETS.find(([known]) => known === id)[2](extent);
}

/** The preset that a range is, if any. */
export function presetOf(range, extent) {
  const found = PRESETS.find(([, , make]) => {
    const { from, to } = make(extent);
    return from === range.from && to === range.to;
  });
  return found?.[0] ?? "";
}

/** The API's parameters for a range. */
export const asked = ({ from, to }) => ({ from, to: plusDays(to, 1) });

/** The range of the same length just before. */
export function before({ from, to }) {
  const days = daysBetween(from, to) + 1;
  return { from: plusDays(from, -days), to: plusDays(from, -1) };
}

/** The first and the last day with a touchpoint; null if there is none at all. */
export async function extent() {
  const end = `${new Date().getUTCFullYear() + 2}-01-01`;
  const years = await filled({ from: FIRST, to: end, grain: "year" });
  if (!years.length) return null;
  const days = (year) => filled({ from: `${year}-01-01`, to: `${String(Number(year) + 1).padStart(4, "0")}-01-01`, grain: "day" });
  const [inFirst, inLast] = await Promise.all([days(years[0]), days(years.at(-1))]);
  return { first: inFirst[0], last: inLast.at(-1) };
}

async function filled(params) {
  const answer = await kpi("touchpoints", params);
  return answer.rows.filter((row) => row.value > 0).map((row) => row.period);
}
