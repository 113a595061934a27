// The five stages: how far journeys got, what became of them there, and how long it took.

import { get } from "./api.js";
import { ofStage } from "./colours.js";
import { byId, h, panel } from "./dom.js";
import * as format from "./format.js";
import { asked } from "./range.js";
import { axis, draw, token } from "./plot.js";
import { STAGES, title } from "./stages.js";

const COLUMNS = [
  ["reached", "Reached", (row) => format.count(row.reached)],
  ["conversion", "From before", (row) => format.percent(row.conversion)],
  ["dropped", "Dropped", (row) => format.count(row.dropped)],
  ["in_stage_now", "Here now", (row) => format.count(row.in_stage_now)],
  ["skipped", "Skipped", (row) => format.count(row.skipped)],
  ["p50", "Median time", (row) => format.duration(row.time_in_stage.p50_s)],
  ["p90", "90 % within", (row) => format.duration(row.time_in_stage.p90_s)],
];
const HEAD = 36;
const LABELS = 116;
const below = matchMedia("(max-width: 1280px)");
const TIME_TICKS = [[1, "1 s"], [60, "1 min"], [3600, "1 h"], [86400, "1 d"], [30 * 86400, "30 d"]];

const ENDS = { on: "went on to a later stage", now: "in this stage now", dropped: "dropped: silent for longer than the journey timeout" };

/** Ask for the stage table and show it; returns the answer. */
export async function show({ range, journeys }, signal) {
  const place = panel("funnel");
  place.loading({ path: "/v1/stages", ...asked(range), journeys });
  const answer = await get("/v1/stages", { ...asked(range), journeys }, signal);
  if (!answer.journeys) {
    place.empty("No journey of this kind started in these days. Choose a longer range, or all journeys.");
    return answer;
  }
  byId("funnel-sub").textContent = `${format.counted(answer.journeys, kind(journeys))} that started in these days`;
  table(answer.stages);
  legend();
  await Promise.all([
    draw(byId("funnel-chart"), (width) => bars(answer.stages, answer.journeys, width)),
    draw(byId("time-chart"), () => times(answer.stages)),
  ]);
  place.ready();
  return answer;
}

const kind = (journeys) => (journeys === "all" ? "journey" : `${journeys} journey`);

function table(rows) {
  const head = h("tr", {}, h("th", { scope: "col" }, "Stage"), ...COLUMNS.map(([, name]) => h("th", { scope: "col" }, name)));
  const body = rows.map((row) =>
    h("tr", { "data-stage": row.stage }, h("th", { scope: "row" }, title(row.stage)), ...COLUMNS.map(([field, , show]) => cell(row, field, show))),
  );
  byId("funnel-table").replaceChildren(h("thead", {}, head), h("tbody", {}, ...body));
}

function cell(row, field, show) {
  const exact = field in row ? row[field] : row.time_in_stage[`${field}_s`];
  const sample = field === "p50" || field === "p90" ? `${format.counted(row.time_in_stage.n, "journey")} left this stage after touching it` : null;
  return h("td", { "data-field": field, "data-value": String(exact), title: sample }, show(row));
}

function bars(rows, journeys, width) {
  const room = 1 + 56 / Math.max(width - LABELS, 100);
  const parts = [
    ["on", (row) => row.reached - row.dropped - row.in_stage_now, 1],
    ["now", (row) => row.in_stage_now, 0.55],
    ["dropped", (row) => row.dropped, 0.22],
  ];
  const data = parts.map(([name, value, opacity]) => ({
    type: "bar", orientation: "h", y: rows.map((row) => title(row.stage)), x: rows.map(value),
    marker: { color: rows.map((row) => ofStage(row.stage)), opacity, line: { width: 0 } },
    customdata: rows.map((row) => [format.count(value(row)), format.percent(row.reached ? value(row) / row.reached : null)]),
    hovertemplate: `%{y}: %{customdata[0]} (%{customdata[1]})<br>${ENDS[name]}<extra></extra>`,
  }));
  const labels = rows.map((row) => ({
    x: row.reached, y: title(row.stage), text: format.roundPercent(row.reached / journeys), xanchor: "left", xshift: 6, showarrow: false,
    font: { color: token("muted"), size: 12 },
  }));
  return {
    data,
    layout: {
      barmode: "stack", bargap: 0.32, annotations: labels, margin: { l: LABELS, r: 0, t: HEAD, b: 0 }, hovermode: "closest",
      xaxis: axis({ range: [0, journeys * room], visible: false, fixedrange: true }),
      yaxis: axis({ autorange: "reversed", fixedrange: true, tickfont: { color: token("text"), size: 14 }, showgrid: false, ticks: "", ticklabelstandoff: 8 }),
    },
  };
}

function times(rows) {
  const known = rows.filter((row) => row.time_in_stage.n);
  const seconds = (value) => Math.max(value, 1);
  const lines = known.map((row) => ({
    type: "line", x0: seconds(row.time_in_stage.p50_s), x1: seconds(row.time_in_stage.p90_s), y0: title(row.stage), y1: title(row.stage),
    line: { color: ofStage(row.stage), width: 4 }, opacity: 0.35,
  }));
  const dots = ["p50_s", "p90_s"].map((field) => ({
    type: "scatter", mode: "markers", cliponaxis: false, y: known.map((row) => title(row.stage)), x: known.map((row) => seconds(row.time_in_stage[field])),
    marker: { size: 11, color: known.map((row) => (field === "p50_s" ? ofStage(row.stage) : token("surface"))), line: { width: 2.5, color: known.map((row) => ofStage(row.stage)) } },
    customdata: known.map((row) => format.duration(row.time_in_stage[field])),
    hovertemplate: `%{y}: %{customdata}<br>${field === "p50_s" ? "median time in the stage" : "90 % were in it for less"}<extra></extra>`,
  }));
  const blank = { type: "scatter", mode: "markers", y: STAGES.map(title), x: STAGES.map(() => 60), marker: { opacity: 0 }, hoverinfo: "skip" };
  const spread = known.flatMap((row) => [seconds(row.time_in_stage.p50_s), seconds(row.time_in_stage.p90_s)]);
  const [low, high] = [Math.min(1, ...spread) || 1, Math.max(86400, ...spread)];
  const ticks = TIME_TICKS.filter(([tick]) => tick >= low && tick <= high * 1.2);
  return {
    data: [blank, ...dots],
    layout: {
      shapes: lines, margin: { l: below.matches ? LABELS : 22, r: 22, t: HEAD, b: 0 }, hovermode: "closest",
      xaxis: axis({ type: "log", range: [Math.log10(low) - 0.15, Math.log10(high) + 0.15], side: "top", tickvals: ticks.map(([tick]) => tick), ticktext: ticks.map(([, text]) => text), tickangle: 0, fixedrange: true, ticks: "" }),
      yaxis: axis({ range: [STAGES.length - 0.5, -0.5], type: "category", fixedrange: true, showticklabels: below.matches, showgrid: false, ticks: "", tickfont: { color: token("text"), size: 14 }, ticklabelstandoff: 8 }),
    },
  };
}

function legend() {
  const entries = [["on", "went on"], ["now", "here now"], ["dropped", "dropped"], ["p50", "median time"], ["p90", "90 % within"]];
  byId("funnel-legend").replaceChildren(...entries.map(([name, label]) => h("li", { class: `key ${name}`, title: ENDS[name] }, label)));
}
