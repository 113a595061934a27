// Touchpoints along time, stacked by channel, stage or source.

import { kpi } from "./api.js";
import { numbered, ofChannel, ofStage } from "./colours.js";
import { byId, h, panel, segments, styled } from "./dom.js";
import * as format from "./format.js";
import { asked, daysBetween, monday } from "./range.js";
import { axis, draw, plain, token } from "./plot.js";
import { STAGES } from "./stages.js";

const CHOICES = [["channel", "Channel"], ["stage", "Stage"], ["source", "Source"]];
const MOST_SERIES = 10;
const DAYS_BY_DAY = 400;
const DAYS_BY_WEEK = 1500;

let by = "channel";
const hidden = new Set();

export function prepare(again) {
  segments(byId("volume-by"), "volume-by", CHOICES, by, (value) => {
    by = value;
    hidden.clear();
    again();
  });
}

export async function show({ range }, signal) {
  const place = panel("volume");
  place.loading({ path: "/v1/kpis/touchpoints", ...asked(range), grain: "day", by });
  const answer = await kpi("touchpoints", { ...asked(range), grain: "day", by }, signal);
  const grain = grainOf(range);
  const series = stack(answer.rows, grain);
  if (!series.length) {
    place.empty("No touchpoint in these days.");
    return;
  }
  byId("volume-sub").textContent = `by ${grain} and ${by}`;
  const redraw = () => draw(byId("volume-chart"), () => figure(series.filter((one) => !hidden.has(one.name)), grain));
  legend(series, redraw);
  byId("volume-chart").setAttribute("aria-label", `Touchpoints by ${grain}: ${series.map((one) => `${one.name} ${format.count(one.total)}`).join(", ")}`);
  await redraw();
  place.ready();
}

function grainOf({ from, to }) {
  const days = daysBetween(from, to);
  return days <= DAYS_BY_DAY ? "day" : days <= DAYS_BY_WEEK ? "week" : "month";
}

const PERIOD = { day: (day) => day, week: monday, month: (day) => `${day.slice(0, 7)}-01` };

/** Rows by day as series by period: the largest first, the smallest together as others. */
function stack(rows, grain) {
  const totals = new Map();
  for (const row of rows) totals.set(row[by], (totals.get(row[by]) ?? 0) + row.value);
  const names = [...totals.keys()].filter((name) => totals.get(name)).sort((a, b) => order(a, b) || totals.get(b) - totals.get(a));
  const own = new Set(names.length > MOST_SERIES ? [...names].sort((a, b) => totals.get(b) - totals.get(a)).slice(0, MOST_SERIES - 1) : names);
  const others = names.length - own.size;
  const label = (name) => (own.has(name) ? name || "none" : `${others} others`);
  const series = new Map();
  for (const row of rows) {
    if (!totals.get(row[by])) continue;
    const name = label(row[by]);
    if (!series.has(name)) series.set(name, { name, key: own.has(row[by]) ? row[by] : null, total: 0, periods: new Map() });
    const one = series.get(name);
    const period = PERIOD[grain](row.period);
    one.total += row.value;
    one.periods.set(period, (one.periods.get(period) ?? 0) + row.value);
  }
  const sorted = [...series.values()].sort((a, b) => order(a.key, b.key) || b.total - a.total);
  return sorted.map((one, place) => ({ ...one, colour: () => colourOf(one.key, place) }));
}

const order = (a, b) => (by === "stage" ? (STAGES.indexOf(a) + 6) % 6 - (STAGES.indexOf(b) + 6) % 6 : 0);

function colourOf(key, place) {
  if (key === null || key === "") return token("neutral");
  return by === "channel" ? ofChannel(key) : by === "stage" ? ofStage(key) : numbered(place);
}

function figure(series, grain) {
  const data = series.map((one) => ({
    type: "bar", name: plain(one.name), x: [...one.periods.keys()], y: [...one.periods.values()],
    marker: { color: one.colour(), line: { width: 0 } }, customdata: [...one.periods.values()].map(format.count),
    hovertemplate: "%{fullData.name}: %{customdata}<extra></extra>",
  }));
  return {
    data,
    layout: {
      barmode: "stack", bargap: grain === "day" ? 0.12 : 0.2, hovermode: "x unified", margin: { l: 44, r: 4, t: 6, b: 38 },
      xaxis: axis({ type: "date", fixedrange: true, spikecolor: token("muted"), spikethickness: 1, spikedash: "solid", showgrid: false, hoverformat: grain === "month" ? "%B %Y" : grain === "week" ? "week from %-d %b %Y" : "%a %-d %b %Y", tickformatstops: [{ dtickrange: [null, 86400000 * 20], value: "%-d %b" }, { dtickrange: [86400000 * 20, null], value: "%b\n%Y" }] }),
      yaxis: axis({ fixedrange: true, tickformat: "~s", nticks: 5, ticks: "", rangemode: "tozero" }),
    },
  };
}

function legend(series, redraw) {
  const entries = series.map((one) => {
    const flip = (event) => {
      const now = hidden.has(one.name);
      if (now) hidden.delete(one.name);
      else hidden.add(one.name);
      event.currentTarget.setAttribute("aria-pressed", String(now));
      void redraw();
    };
    const button = h("button", { type: "button", "aria-pressed": String(!hidden.has(one.name)), onclick: flip }, h("span", {}, one.name), h("b", {}, format.compact(one.total)));
    return h("li", {}, styled(button, { "--key": one.colour() }));
  });
  byId("volume-legend").replaceChildren(...entries);
}
