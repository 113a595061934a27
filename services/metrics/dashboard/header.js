// The range, the kind of journeys and the look-up box, kept in the address after #, which never reaches a server.

import { byId, choose, segments } from "./dom.js";
import * as range from "./range.js";

const JOURNEYS = [["new", "New"], ["returning", "Returning"], ["all", "All"]];

/** What the address asks for, completed: twelve months of the journeys that are new. */
export function read(extent) {
  const given = new URLSearchParams(location.hash.slice(1));
  const [from, to] = [given.get("from"), given.get("to")];
  const asked = range.isDay(from) && range.isDay(to) && from <= to ? { from, to } : range.ofPreset("12", extent);
  const journeys = JOURNEYS.some(([known]) => known === given.get("journeys")) ? given.get("journeys") : "new";
  return { range: asked, journeys, person: given.get("person") ?? "", extent };
}

/** Keep what is shown in the address. */
export function write({ range: { from, to }, journeys, person }) {
  const kept = new URLSearchParams({ from, to, journeys, ...(person ? { person } : {}) });
  history.replaceState(null, "", `#${kept}`);
}

/** Fill the controls; `changed` is called with what was changed, `lookedUp` with an identity ("" closes). */
export function prepare(shown, changed, lookedUp) {
  const presets = range.PRESETS.map(([id, label]) => [id, label]);
  segments(byId("presets"), "preset", presets, "", (id) => changed({ range: range.ofPreset(id, shown.extent) }));
  segments(byId("journeys"), "journeys", JOURNEYS, shown.journeys, (journeys) => changed({ journeys }));
  byId("range").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["from", "to"]) byId(id).addEventListener("change", () => picked(changed));
  byId("lookup").addEventListener("submit", (event) => {
    event.preventDefault();
    const identity = byId("identity").value.trim();
    if (identity) lookedUp(identity);
  });
  byId("person-close").addEventListener("click", () => lookedUp(""));
  byId("person").addEventListener("keydown", (event) => event.key === "Escape" && lookedUp(""));
}

function picked(changed) {
  const [from, to] = [byId("from").value, byId("to").value];
  if (!range.isDay(from) || !range.isDay(to)) return;
  const swapped = from > to;
  byId("to").setCustomValidity(swapped ? "The last day lies before the first." : "");
  if (swapped) byId("to").reportValidity();
  else changed({ range: { from, to } });
}

/** Make the controls say what is shown. */
export function reflect({ range: shown, journeys, extent, person }) {
  byId("from").value = shown.from;
  byId("to").value = shown.to;
  byId("to").setCustomValidity("");
  choose(byId("presets"), range.presetOf(shown, extent));
  choose(byId("journeys"), journeys);
  if (person) byId("identity").value = person;
}
