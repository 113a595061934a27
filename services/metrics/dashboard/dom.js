// Elements. Text is always text: nothing that comes from data is ever read as markup.

import { address } from "./api.js";

/** An element with properties (`class`, `data-…` and `aria-…` as attributes, `on…` as listeners) and children. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Set custom properties, which styles read. */
export function styled(element, properties) {
  for (const [name, value] of Object.entries(properties)) element.style.setProperty(name, value);
  return element;
}

/** A row of radio buttons that look like one control. `choices` are [value, label]. */
export function segments(fieldset, name, choices, chosen, onchange) {
  const legend = fieldset.querySelector("legend");
  const buttons = choices.map(([value, label]) =>
    h("label", {}, h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => onchange(value) }), h("span", {}, label)),
  );
  fieldset.replaceChildren(legend, ...buttons);
}

/** Check the button with this value, or none. */
export function choose(fieldset, value) {
  for (const input of fieldset.querySelectorAll("input")) input.checked = input.value === value;
}

function csv({ path, ...params }) {
  return address(path, { ...params, format: "csv" });
}

/** What a panel is doing: loading (what it shows is old), ready, or a message in the place of its content. */
export function panel(id) {
  const section = byId(id);
  const message = section.querySelector(".message");
  const show = (state, text = "") => {
    section.dataset.state = state;
    section.setAttribute("aria-busy", String(state === "loading"));
    message.textContent = text;
    message.hidden = !text;
  };
  const loading = (question) => {
    const link = section.querySelector(".csv");
    if (link && question) link.href = csv(question);
    show("loading");
  };
  return { section, loading, ready: () => show("ready"), empty: (text) => show("empty", text), error: (text) => show("error", text) };
}
