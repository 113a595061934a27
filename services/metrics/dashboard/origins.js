// How far journeys got, by what they began with.

import { get } from "./api.js";
import { byId, h, panel, segments, styled } from "./dom.js";
import * as format from "./format.js";
import { asked } from "./range.js";
import { STAGES, title } from "./stages.js";

const CHOICES = [["marketing_channel", "Marketing"], ["channel", "Channel"], ["source", "Source"], ["campaign", "Campaign"]];
const NOTHING = { marketing_channel: "no visit", channel: "none", source: "none", campaign: "no campaign" };
const MOST = 8;

let by = "marketing_channel";

export function prepare(again) {
  segments(byId("origins-by"), "origins-by", CHOICES, by, (value) => {
    by = value;
    again();
  });
}

export async function show({ range, journeys }, signal) {
  const place = panel("origins");
  place.loading({ path: "/v1/stages", ...asked(range), journeys, by });
  const answer = await get("/v1/stages", { ...asked(range), journeys, by }, signal);
  const groups = grouped(answer.stages);
  if (!groups.length) {
    place.empty("No journey of this kind started in these days.");
    return;
  }
  const head = h("tr", {}, h("th", { scope: "col" }, "Began with"), h("th", { scope: "col" }, "Journeys"), ...STAGES.slice(1).map((stage) => h("th", { scope: "col" }, title(stage))));
  const shown = groups.slice(0, MOST);
  const rest = groups.length - shown.length;
  const rows = shown.map((group) => line(group, groups[0].journeys));
  if (rest) rows.push(h("tr", { class: "rest" }, h("td", { colspan: String(head.children.length) }, `and ${rest} more, in the API's answer`)));
  byId("origins-table").replaceChildren(h("thead", {}, head), h("tbody", {}, ...rows));
  place.ready();
}

/** One entry per value of the dimension, the most journeys first. Everybody has reached the stage that most have. */
function grouped(rows) {
  const groups = new Map();
  for (const row of rows) {
    const group = groups.get(row[by]) ?? { name: row[by], journeys: 0, reached: {} };
    group.reached[row.stage] = row.reached;
    group.journeys = Math.max(group.journeys, row.reached);
    groups.set(row[by], group);
  }
  return [...groups.values()].filter((group) => group.journeys).sort((a, b) => b.journeys - a.journeys);
}

function line(group, most) {
  const bar = styled(h("td", { class: "amount" }, h("span", {}, format.count(group.journeys))), { "--share": (group.journeys / most).toFixed(3) });
  const cells = STAGES.slice(1).map((stage) => {
    const share = group.reached[stage] / group.journeys;
    const cell = h("td", { class: "heat", title: `${format.count(group.reached[stage])} of ${format.count(group.journeys)}` }, format.roundPercent(share));
    return styled(cell, { "--share": share.toFixed(3) });
  });
  return h("tr", {}, h("th", { scope: "row" }, group.name ? group.name.replaceAll("_", " ") : NOTHING[by]), bar, ...cells);
}
