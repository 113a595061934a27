// Looking up a person: who it is, the journeys as a timeline and in words, every touchpoint.

import { ApiError, get, personPath } from "./api.js";
import { ofStage } from "./colours.js";
import { byId, h, panel, styled } from "./dom.js";
import * as format from "./format.js";
import { draw, forget } from "./plot.js";
import { STAGES, title } from "./stages.js";
import { all, figure, heightOf, scored, worth } from "./timeline.js";

const PAGE = 1000;
const MOST = 3000;
const FIRST_JOURNEYS = 4;
const FIRST_IDENTITIES = 8;
const FIRST_ROWS = 100;

/** Show who has this identity. Throws what the caller has to deal with: a token that is missing, an abort. */
export async function show(identity, signal) {
  const place = panel("person");
  place.section.hidden = false;
  byId("person-title").textContent = identity;
  byId("person-title").focus({ preventScroll: true });
  place.section.scrollIntoView({ block: "nearest" });
  await clear();
  if (!/^[a-z][a-z0-9_]*:./.test(identity)) {
    place.empty("Write a person as namespace:value, such as customer_id:c-42, email:a@b.c or order:shop/1001.");
    return;
  }
  place.loading();
  try {
    const [person, touchpoints] = await ask(identity, signal);
    await fill(person, touchpoints);
    place.ready();
  } catch (error) {
    if (!(error instanceof ApiError) || error.status === 401) throw error;
    if (error.status === 404) place.empty(`Nobody is known as ${identity}. Check the spelling and the namespace; somebody who was just seen may take a moment.`);
    else place.error(error.message);
  }
}

/** Hide the panel and what it showed. */
export async function close() {
  byId("person").hidden = true;
  await clear();
}

async function clear() {
  const chart = byId("timeline");
  if (chart) await forget(chart);
  byId("person-content").replaceChildren();
  byId("person-json").hidden = true;
}

async function ask(identity, signal) {
  const path = personPath(identity);
  const person = await get(path, {}, signal);
  const touchpoints = [];
  let cursor = null;
  do {
    const page = await get(`${path}/touchpoints`, { limit: PAGE, ...(cursor ? { cursor } : {}) }, signal);
    touchpoints.push(...page.touchpoints);
    cursor = page.next_cursor;
  } while (cursor && touchpoints.length < MOST);
  byId("person-json").href = path;
  byId("person-json").hidden = false;
  return [person, touchpoints];
}

async function fill(person, touchpoints) {
  const chart = h("figure", { class: "chart", id: "timeline", "aria-hidden": "true" });
  styled(chart, { height: `${heightOf(person, touchpoints)}px` });
  byId("person-content").replaceChildren(
    summary(person),
    chart,
    h("p", { class: "hint" }, hint(person, touchpoints)),
    h("div", { class: "split" }, journeys(person), things(person)),
    table(touchpoints),
  );
  if (touchpoints.length) await draw(chart, () => figure(person, touchpoints));
  else chart.remove();
}

function hint(person, touchpoints) {
  const partial = touchpoints.length < person.touchpoints ? ` The newest ${format.count(touchpoints.length)} of ${format.count(person.touchpoints)} are drawn.` : "";
  return `Colours are stages; filled: the customer, hollow: the business or a system. Drag to zoom, double-click to go back. Times in UTC.${partial}`;
}

function summary(person) {
  const orders = all(person, "orders").filter((order) => !order.cancelled_at).length;
  const facts = [
    format.counted(person.touchpoints, "touchpoint"), format.counted(person.journeys.length, "journey"), format.counted(orders, "order"),
    format.counted(all(person, "cases").length, "case"), format.counted(all(person, "surveys").filter((survey) => survey.action === "answered").length, "survey answer"),
  ];
  const shown = person.identities.slice(0, FIRST_IDENTITIES);
  const more = (person.identity_count ?? person.identities.length) - shown.length;
  return h(
    "div", { class: "summary" },
    h("p", { class: "facts" }, facts.join(" · "), person.suspected_bot ? h("strong", {}, " · set aside as a suspected bot") : null),
    h("ul", { class: "chips", "aria-label": "Identities" }, ...shown.map((identity) => h("li", {}, identity)), more > 0 ? h("li", { class: "more" }, `and ${format.count(more)} more`) : null),
  );
}

function journeys(person) {
  const newest = [...person.journeys].reverse();
  const earlier = newest.length - FIRST_JOURNEYS;
  return h(
    "div", { class: "journeys" },
    h("h3", {}, "Journeys"),
    ...newest.slice(0, FIRST_JOURNEYS).map(journey),
    earlier > 0 ? h("p", { class: "hint" }, `and ${format.counted(earlier, "earlier journey")}`) : null,
    newest.length ? null : h("p", { class: "hint" }, "None: the customer was never active."),
  );
}

function journey(one) {
  const began = [one.marketing_channel ?? one.channel, one.campaign].filter(Boolean).join(", ").replaceAll("_", " ");
  const told = `${format.moment(one.started_at)} – ${format.moment(one.last_at)}`;
  return h(
    "article", { class: "journey" },
    h("p", {}, h("b", {}, told), ` · ${one.open ? "open" : "over"} · ${format.counted(one.touchpoints, "touchpoint")}${began ? ` · began with ${began}` : ""}`),
    h("ol", { class: "steps" }, ...STAGES.map((stage) => step(one, stage))),
  );
}

function step(one, stage) {
  const span = one.stages.find((candidate) => candidate.stage === stage);
  const skipped = span?.reached_at && span.left_at === span.reached_at && !span.touchpoints;
  const state = !span ? "not reached" : skipped ? "skipped" : span.reached_at ? format.day(span.reached_at.slice(0, 10)) : "only touched";
  const stay = span?.reached_at && span.left_at && !skipped ? format.duration((Date.parse(span.left_at) - Date.parse(span.reached_at)) / 1000) : "";
  const here = one.open && one.current_stage === stage;
  return styled(
    h("li", { "data-reached": Boolean(span?.reached_at) && !skipped, "aria-current": here ? "step" : null }, h("b", {}, title(stage)), h("span", {}, state), h("span", {}, here ? "here now" : stay)),
    { "--stage": ofStage(stage) },
  );
}

function things(person) {
  const rows = [
    ...all(person, "orders").map((order) => [order.placed_at, "Order", `${order.order_id} · ${worth(order)}${order.cancelled_at ? " · cancelled" : order.returned_at ? " · returned" : ""}`]),
    ...all(person, "cases").map((one) => [one.opened_at, "Case", [one.case_id, one.topic?.replaceAll("_", " "), one.resolved ? "resolved" : "open"].filter(Boolean).join(" · ")]),
    ...all(person, "surveys").map((survey) => [survey.at, survey.kind.toUpperCase(), scored(survey)]),
  ].sort(([a], [b]) => (a < b ? 1 : -1));
  return h(
    "div", { class: "things" },
    h("h3", {}, "Orders, cases, surveys"),
    rows.length ? h("div", scrolled("Orders, cases and surveys"), listed(["When", "What", "Which"], rows.map(([at, ...rest]) => [format.moment(at), ...rest]))) : h("p", { class: "hint" }, "None."),
  );
}

const scrolled = (label) => ({ class: "scroll", tabindex: "0", role: "region", "aria-label": label });

function table(touchpoints) {
  const rows = touchpoints.map((one) => [format.moment(one.time), one.type, one.channel, one.stage ?? format.NONE, one.actor, one.source]);
  const columns = ["When", "Type", "Channel", "Stage", "Actor", "Source"];
  const place = h("div", scrolled("Touchpoints"), listed(columns, rows.slice(0, FIRST_ROWS)));
  const more = rows.length > FIRST_ROWS ? h("button", { type: "button", onclick: (event) => (place.replaceChildren(listed(columns, rows)), event.currentTarget.remove()) }, `Show all ${format.count(rows.length)}`) : null;
  return h("details", { class: "all" }, h("summary", {}, `${format.counted(rows.length, "touchpoint")}, the newest first`), place, more);
}

function listed(columns, rows) {
  const head = h("tr", {}, ...columns.map((name) => h("th", { scope: "col" }, name)));
  return h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((text) => h("td", {}, text))))));
}
