// From which stage to which the touchpoints of a journey go, as a heat map.

import { get } from "./api.js";
import { byId, h, panel, styled } from "./dom.js";
import * as format from "./format.js";
import { asked } from "./range.js";
import { STAGES, title } from "./stages.js";

export async function show({ range, journeys }, signal) {
  const place = panel("transitions");
  place.loading({ path: "/v1/transitions", ...asked(range), journeys });
  const answer = await get("/v1/transitions", { ...asked(range), journeys }, signal);
  if (!answer.transitions.length) {
    place.empty("No journey of this kind started in these days.");
    return;
  }
  const counts = new Map(answer.transitions.map((row) => [`${row.from}>${row.to}`, row.transitions]));
  const head = h("tr", {}, h("td", {}), ...STAGES.map((stage) => h("th", { scope: "col" }, title(stage))), h("th", { scope: "col" }, "Silent"));
  const rows = [null, ...STAGES].map((from) => line(from, counts));
  byId("transitions-table").replaceChildren(h("thead", {}, head), h("tbody", {}, ...rows));
  place.ready();
}

function line(from, counts) {
  const values = [...STAGES, null].map((to) => counts.get(`${from}>${to}`) ?? 0);
  const total = values.reduce((sum, value) => sum + value, 0);
  const name = from === null ? "Start" : title(from);
  const cells = values.map((value, place) => {
    const share = total ? value / total : 0;
    const to = place < STAGES.length ? title(STAGES[place]) : "silent until over";
    const text = value ? format.roundPercent(share) : "";
    const told = value ? `${name} → ${to}: ${format.counted(value, "time")}, ${format.percent(share)} of the row` : null;
    const cell = h("td", { title: told, "data-value": String(value) }, text);
    return styled(cell, { "--share": share.toFixed(3) });
  });
  return h("tr", {}, h("th", { scope: "row" }, name), ...cells);
}
