// The page: finds the days that have data, asks for every part of what is shown, says what the figures rest on.

import { ApiError, keepToken } from "./api.js";
import { byId, panel } from "./dom.js";
import * as format from "./format.js";
import * as funnel from "./funnel.js";
import * as header from "./header.js";
import * as origins from "./origins.js";
import * as person from "./person.js";
import * as range from "./range.js";
import * as tiles from "./tiles.js";
import * as transitions from "./transitions.js";
import * as volume from "./volume.js";

const PANELS = { funnel, volume, transitions, origins };

let shown;
let asking = new AbortController();
let lookingUp = new AbortController();

async function start() {
  tiles.prepare();
  for (const id of Object.keys(PANELS)) panel(id).loading();
  try {
    const extent = await range.extent();
    if (!extent) return nothingYet();
    notice("");
    shown = header.read(extent);
    header.prepare(shown, change, lookUp);
    volume.prepare(() => void one("volume"));
    origins.prepare(() => void one("origins"));
    header.reflect(shown);
    await Promise.all([refresh(), shown.person ? lookUp(shown.person) : null]);
  } catch (error) {
    if (!failed(error)) notice(error.message);
  }
  return undefined;
}

function nothingYet() {
  for (const id of Object.keys(PANELS)) panel(id).empty("");
  notice("No touchpoint has arrived yet. Post one to /v1/touchpoints, or run `waypost simulate`, and open this page again.");
}

function change(changed) {
  shown = { ...shown, ...changed };
  header.write(shown);
  header.reflect(shown);
  void refresh();
}

async function refresh() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const [basis] = await Promise.all([one("funnel", signal), ...Object.keys(PANELS).slice(1).map((id) => one(id, signal)), figures(signal)]);
  if (basis) restsOn(basis);
}

async function one(id, signal = asking.signal) {
  try {
    return await PANELS[id].show(shown, signal);
  } catch (error) {
    if (!failed(error)) panel(id).error(error.message);
    return null;
  }
}

async function figures(signal) {
  try {
    await tiles.show(shown, signal);
    notice("");
  } catch (error) {
    if (!failed(error)) notice(error.message);
  }
}

async function lookUp(identity) {
  lookingUp.abort();
  lookingUp = new AbortController();
  shown = { ...shown, person: identity };
  header.write(shown);
  try {
    await (identity ? person.show(identity, lookingUp.signal) : person.close());
    if (!identity) byId("identity").focus();
  } catch (error) {
    if (!failed(error)) panel("person").error(error.message);
  }
}

function restsOn({ as_of, complete_to }) {
  const complete = complete_to ? `everything that had arrived by ${format.moment(complete_to)} is counted` : "not everything that arrived is counted yet";
  byId("basis").textContent = `As of ${format.moment(as_of)} UTC; ${complete}.`;
}

function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

/** Whether an error needs no message: the question was given up, or a token is asked for. */
function failed(error) {
  if (error.name === "AbortError") return true;
  if (!(error instanceof ApiError) || error.status !== 401) return false;
  const dialog = byId("token-dialog");
  if (!dialog.open) dialog.showModal();
  return true;
}

byId("token-form").addEventListener("submit", () => {
  keepToken(byId("token").value.trim());
  location.reload();
});

void start();
