// Plotly, dressed like the page. Charts are drawn again when the colour scheme or their size changes.

// Plotly would write a style sheet for its maps into the page, which the page's policy forbids, unless an element of this name is there.
const MAP_STYLES = "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53";

let loading = null;
const charts = new Map();

/** The library, loaded once from this service. */
function plotly() {
  loading ??= new Promise((resolve, reject) => {
    document.head.append(Object.assign(document.createElement("meta"), { id: MAP_STYLES }));
    const script = document.createElement("script");
    script.src = document.getElementById("plotly").href;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("The chart library could not be loaded."));
    document.head.append(script);
  });
  return loading;
}

/** A colour or other token of the style sheet. */
export const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Text from data, for plotly, which would read tags, entities and templates in it. */
export const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

const CONFIG = { displayModeBar: false, responsive: false, showTips: false, doubleClick: "reset", locale: "en-US" };

/** Axis defaults: quiet lines, muted labels. */
export function axis(more = {}) {
  return {
    automargin: false, gridcolor: token("grid"), linecolor: token("border"), showline: false, zeroline: false, tickcolor: token("border"),
    tickfont: { color: token("muted"), size: 12 }, ...more,
  };
}

function layout(more) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, margin: { l: 8, r: 8, t: 8, b: 28 },
    font: { family: token("font"), size: 12, color: token("text") }, hoverlabel: {
      bgcolor: token("raised"), bordercolor: token("border"), align: "left", font: { family: token("font"), size: 12, color: token("text") },
    }, dragmode: false, ...more,
  };
}

/** Draw in `element` what `make()` returns, {data, layout}; `make` is called again whenever colours or sizes change. */
export async function draw(element, make) {
  charts.set(element, make);
  const Plotly = await plotly();
  if (charts.get(element) !== make || !element.clientWidth) return;
  const figure = make(element.clientWidth);
  const size = { width: element.clientWidth, height: element.clientHeight };
  await Plotly.react(element, figure.data, layout({ ...figure.layout, ...size }), CONFIG);
  sizes.observe(element);
}

/** Forget a chart that leaves the page. */
export async function forget(element) {
  if (!charts.delete(element)) return;
  sizes.unobserve(element);
  (await plotly()).purge(element);
}

const redraw = () => charts.forEach((make, element) => void draw(element, make));
const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const make = charts.get(target);
    if (make && target._fullLayout && Math.abs(target._fullLayout.width - target.clientWidth) > 1) void draw(target, make);
  }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
