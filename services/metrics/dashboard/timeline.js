// A person's touchpoints, stages, orders, cases and surveys along time.

import { ofStage } from "./colours.js";
import * as format from "./format.js";
import { axis, plain, token } from "./plot.js";
import { title } from "./stages.js";

const ROW = 26;
const EDGES = 50;
const THINGS = [
  ["Orders", "orders", "square", orderTold],
  ["Cases", "cases", "diamond", caseTold],
  ["Surveys", "surveys", "star", surveyTold],
];

export const worth = (order) => (order.amount === null ? "worth unknown" : format.money(Number(order.amount), order.currency));
export const scored = (survey) => (survey.score === null ? survey.action : `${format.count(survey.score)} of ${format.count(survey.scale_max)}`);

function orderTold(order) {
  const state = order.cancelled_at ? ", cancelled" : order.returned_at ? ", returned" : "";
  return { at: order.placed_at, text: `Order ${order.order_id}: ${worth(order)}${state}`, stage: order.stage };
}

function caseTold(one) {
  return { at: one.opened_at, until: one.resolved_at.at(-1) ?? one.last_at, text: `Case ${one.case_id}${one.topic ? `: ${one.topic}` : ""}${one.resolved ? ", resolved" : ""}`, stage: one.stage };
}

function surveyTold(survey) {
  return { at: survey.at, text: `${survey.kind.toUpperCase()}: ${scored(survey)}`, stage: survey.stage };
}

/** Everything of one kind that a person has, in journeys and outside them. */
export const all = (person, kind) => [...person.journeys, person.outside ?? {}].flatMap((part) => part[kind] ?? []);

/** The rows from top to bottom: stages, what there is of orders, cases and surveys, then channels, the busiest first. */
function rowsOf(person, touchpoints) {
  const things = THINGS.filter(([, kind]) => all(person, kind).length).map(([name]) => name);
  const counts = new Map();
  for (const { channel } of touchpoints) counts.set(channel, (counts.get(channel) ?? 0) + 1);
  const channels = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a));
  return { names: ["Stage", ...things, ...channels], place: new Map(["Stage", ...things].map((name, n) => [name, n])), channels: new Map(channels.map((name, n) => [name, n + 1 + things.length])) };
}

export const heightOf = (person, touchpoints) => rowsOf(person, touchpoints).names.length * ROW + EDGES;

/** The figure for plotly. */
export function figure(person, touchpoints) {
  const rows = rowsOf(person, touchpoints);
  const spans = person.journeys.flatMap((journey) => spansOf(journey));
  const data = [reached(spans), ...THINGS.map((thing) => marks(person, rows, thing)), dots(touchpoints, rows, "customer"), dots(touchpoints, rows, "others")];
  const lines = person.journeys.slice(1).map((journey) => ({ type: "line", x0: journey.started_at, x1: journey.started_at, yref: "paper", y0: 0, y1: 1, line: { color: token("border"), width: 1, dash: "dot" }, layer: "below" }));
  return {
    data: data.filter((trace) => trace.x.length),
    layout: {
      shapes: [...lines, ...spans.filter((span) => span.to > span.from).map(band), ...open(person, rows)], hovermode: "closest", dragmode: "zoom", margin: { l: 82, r: 12, t: 6, b: EDGES - 6 },
      xaxis: axis({ type: "date", range: reach(person, touchpoints), hoverformat: "%-d %b %Y %H:%M", tickformatstops: [{ dtickrange: [null, 43200000], value: "%H:%M\n%-d %b" }, { dtickrange: [43200000, 86400000 * 20], value: "%-d %b\n%Y" }, { dtickrange: [86400000 * 20, null], value: "%b\n%Y" }] }),
      yaxis: axis({ range: [rows.names.length - 0.5, -0.5], tickvals: rows.names.map((_, n) => n), ticktext: rows.names.map(plain), fixedrange: true, ticks: "", tickfont: { color: token("text"), size: 12 } }),
    },
  };
}

function spansOf(journey) {
  return journey.stages
    .filter((stage) => stage.reached_at)
    .map((stage) => ({ stage: stage.stage, from: stage.reached_at, to: stage.left_at ?? journey.last_at, skipped: stage.left_at === stage.reached_at, left: stage.left_at }));
}

function reached(spans) {
  const shown = spans.filter((span) => !span.skipped);
  return {
    type: "scatter", mode: "markers", x: shown.map((span) => span.from), y: shown.map(() => 0),
    marker: { symbol: "circle", size: 12, color: shown.map((span) => ofStage(span.stage)), line: { color: token("surface"), width: 2 } },
    text: shown.map((span) => `${title(span.stage)} reached, ${span.left ? `left ${format.moment(span.left)}` : "not left"}`), hovertemplate: "%{text}<br>%{x}<extra></extra>",
  };
}

const band = (span) => ({ type: "rect", x0: span.from, x1: span.to, y0: -0.2, y1: 0.2, fillcolor: ofStage(span.stage), opacity: 0.6, line: { width: 0 }, layer: "between" });

function marks(person, rows, [name, kind, symbol, tell]) {
  const told = all(person, kind).map(tell);
  return {
    type: "scatter", mode: "markers", x: told.map((one) => one.at), y: told.map(() => rows.place.get(name)),
    marker: { symbol, size: 11, color: told.map((one) => ofStage(one.stage)), line: { color: token("surface"), width: 1 } },
    text: told.map((one) => plain(one.text)), hovertemplate: "%{text}<br>%{x}<extra></extra>",
  };
}

/** A line for as long as each case was open. */
function open(person, rows) {
  const y = rows.place.get("Cases");
  return all(person, "cases").map(caseTold).map((one) => ({ type: "line", x0: one.at, x1: one.until, y0: y, y1: y, line: { color: ofStage(one.stage), width: 3 }, layer: "between" }));
}

function dots(touchpoints, rows, who) {
  const shown = touchpoints.filter((one) => (one.actor === "customer") === (who === "customer"));
  const colours = shown.map((one) => ofStage(one.stage));
  return {
    type: "scatter", mode: "markers", x: shown.map((one) => one.time), y: shown.map((one) => rows.channels.get(one.channel)),
    marker: who === "customer" ? { size: 8, color: colours, opacity: 0.85 } : { size: 7, symbol: "circle-open", color: colours, line: { width: 1.5 } },
    text: shown.map((one) => plain(`${one.type}${who === "customer" ? "" : ` (${one.actor})`}`)),
    hovertemplate: "%{text}<br>%{x}<extra></extra>",
  };
}

/** A little more than from the first to the last moment. */
function reach(person, touchpoints) {
  const times = [...touchpoints.map((one) => one.time), ...person.journeys.flatMap((journey) => [journey.started_at, journey.last_at])].map((time) => Date.parse(time));
  const [low, high] = times.reduce(([least, most], time) => [Math.min(least, time), Math.max(most, time)], [Infinity, -Infinity]);
  const pad = Math.max((high - low) * 0.02, 3600000);
  return [low - pad, high + pad].map((time) => new Date(time).toISOString());
}
