// Four panels of lines, drawn by plotly, twice a second. Colours are told apart by their dashes too.

const KEPT = 240;
const CONFIG = { displayModeBar: false, doubleClick: false };
const SPANS = [30, 60, 120];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "5px 2px 1px 2px", "2px 4px"];
const STROKES = ["", "6 4", "2 3", "6 3 2 3", "10 4", "10 3 2 3", "5 2 1 2", "2 4"];
const COLOURS = {
  light: ["#0072b2", "#c2500a", "#00785a", "#a6508a", "#7a6a00", "#5b4bb0", "#555555", "#9c2f2f"],
  dark: ["#56b4e9", "#f0a030", "#2fc79a", "#e295c0", "#f0e442", "#b3a6ff", "#c0c0c0", "#ff9a8f"],
};
const PANELS = [
  { key: "versions", title: "Answered by each version", unit: "requests/s", digits: 1 },
  { key: "edges", title: "Asked on each edge", unit: "requests/s", digits: 1 },
  { key: "success", title: "Success on each edge", unit: "%", digits: 0, top: 100 },
  { key: "latency", title: "Latency of all requests", unit: "ms", digits: 1 },
];

/** plotly.js, once for the whole page: the first dashboard asks Python for it. */
function loadPlotly(model) {
  globalThis.meshlabPlotly ??= new Promise((resolve, reject) => {
    const arrived = async (message, buffers) => {
      if (message.type !== "plotly") return;
      model.off("msg:custom", arrived);
      const text = new Response(new Blob([buffers[0]]).stream().pipeThrough(new DecompressionStream("gzip")));
      const url = URL.createObjectURL(new Blob([await text.arrayBuffer()], { type: "text/javascript" }));
      const done = (finish) => () => (URL.revokeObjectURL(url), finish(globalThis.Plotly));
      document.head.append(h("script", { src: url, onload: done(resolve), onerror: done(reject) }));
    };
    model.on("msg:custom", arrived);
    model.send({ type: "plotly" });
  });
  return globalThis.meshlabPlotly;
}

/** One dashboard: the points are kept once, for all its views. */
function dashboard() {
  const feed = { points: [], lost: "", views: new Set() };

  function initialize({ model }) {
    feed.points.push(...model.get("history"));
    const note = (message) => {
      if (message.type === "point") {
        feed.lost = "";
        feed.points.push(message.point);
        if (feed.points.length > KEPT) feed.points.shift();
      } else if (message.type === "lost") feed.lost = message.why;
      else return;
      for (const draw of feed.views) draw();
    };
    model.on("msg:custom", note);
    return () => model.off("msg:custom", note);
  }

  return { initialize, render: ({ model, el }) => render(model, el, feed) };
}

async function render(model, el, feed) {
  const began = performance.now();
  const figures = h("div", { class: "lm-head" });
  const mode = h("span", { class: "lm-figure" });
  const rate = h("span", { class: "lm-figure" });
  const success = h("span", { class: "lm-figure" });
  const state = h("span", { class: "lm-soft" });
  const voice = quietVoice(15000);
  const pause = h("button", { type: "button", "aria-pressed": "false", onclick: togglePause }, "Pause");
  figures.append(h("h3", {}, "Traffic, live"), mode, rate, success, state, pause);
  const panels = PANELS.map(makePanel);
  // One figure for all panels costs half of what four would; it lies over them and takes its axes' places from them.
  const plot = h("div", { class: "lm-plots", "aria-hidden": "true" });
  const area = h("div", { class: "lm-panels" }, ...panels.map((panel) => panel.element), plot);
  const root = h("section", { class: "lm lm-dashboard", "aria-label": "Live traffic" }, figures, area, voice.element);
  el.replaceChildren(root);

  let paused = false;
  let inSight = true;
  let Plotly = null;
  let axes = null;
  let axesText = "";
  const sight = new IntersectionObserver(([entry]) => {
    inSight = entry.isIntersecting;
    draw();
  });
  const sizes = new ResizeObserver(draw);
  const theme = new MutationObserver(draw);
  sight.observe(root);
  sizes.observe(area);
  theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  feed.views.add(draw);
  draw();
  Plotly = await loadPlotly(model);
  draw();
  root.dataset.firstPaint = Math.round(performance.now() - began);

  function togglePause() {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    draw();
  }

  function draw() {
    const newest = feed.points.at(-1);
    state.textContent = paused ? "paused" : feed.lost ? `no news: ${feed.lost}` : newest ? "" : "waiting for the first figures …";
    if (!newest || paused || !inSight || document.hidden) return;
    const dark = document.body.dataset.jpThemeLight === "false";
    showFigures(newest);
    for (const panel of panels) {
      nameLines(panel, feed.points, newest);
      showLegend(panel, newest, colours(dark));
    }
    if (!Plotly) return;
    const seconds = newest.t - feed.points[0].t;
    const lines = traces(panels, feed.points, dark);
    const wanted = layout(panels, area, seconds, dark);
    // The very same object tells plotly that only the lines changed.
    if (JSON.stringify(wanted) !== axesText) [axes, axesText] = [wanted, JSON.stringify(wanted)];
    Plotly.react(plot, lines, axes, CONFIG);
  }

  function showFigures(newest) {
    const asked = Object.values(newest.edges).reduce((sum, value) => sum + value, 0);
    const well = Object.entries(newest.edges).reduce((sum, [edge, value]) => sum + value * newest.success[edge], 0);
    mode.replaceChildren("mode ", h("b", {}, newest.permissive ? "permissive" : "strict"));
    rate.replaceChildren(h("b", {}, asked.toFixed(1)), " requests/s");
    success.replaceChildren(h("b", {}, asked ? `${(well / asked).toFixed(0)} %` : "–"), " successful");
    voice.say(sentence(newest));
  }

  return () => {
    feed.views.delete(draw);
    voice.stop();
    sight.disconnect();
    sizes.disconnect();
    theme.disconnect();
    Plotly.purge(plot);
  };
}

function makePanel({ key, title, unit, digits, top }, index) {
  const place = h("div", { class: "lm-plot", role: "img", "aria-label": `${title}, ${unit}` });
  const legend = h("ul", { class: "lm-legend" });
  const heading = h("h4", {}, title, " ", h("span", { class: "lm-soft" }, unit));
  const element = h("div", { class: "lm-panel" }, heading, place, legend);
  return { key, unit, digits, top, axis: index ? index + 1 : "", place, legend, element, names: [], entries: new Map(), highest: 0 };
}

/** A line keeps its place, and so its colour, while others come and go. */
function nameLines(panel, points, newest) {
  for (const point of panel.names.length ? [newest] : points) {
    for (const name of Object.keys(point[panel.key])) if (!panel.names.includes(name)) panel.names.push(name);
  }
  panel.names = panel.names.filter((name) => points.some((point) => name in point[panel.key]));
}

const colours = (dark) => COLOURS[dark ? "dark" : "light"];

function traces(panels, all, dark) {
  const now = all.at(-1).t;
  // A point a second is enough for figures of ten seconds; always the same ones, or the lines would shimmer.
  const points = all.filter(({ t }) => t === now || Math.round(2 * t) % 2 === 0);
  const x = points.map((point) => point.t - now);
  return panels.flatMap((panel) => {
    // Nobody asked: the rate is zero, but there is no success and no latency.
    const nothing = panel.unit === "requests/s" ? 0 : null;
    const lines = panel.names.map((name, index) => ({
      type: "scatter", mode: "lines", name, x, xaxis: `x${panel.axis}`, yaxis: `y${panel.axis}`,
      y: points.map((point) => point[panel.key][name] ?? nothing),
      line: { color: colours(dark)[index % COLOURS.light.length], dash: DASHES[index % DASHES.length], width: 2 },
      hovertemplate: `%{y:.${panel.digits}f} ${panel.unit}`,
    }));
    panel.highest = panel.top ?? highest(panel.highest, lines);
    return lines;
  });
}

function layout(panels, area, seconds, dark) {
  const ink = dark ? "#bdbdbd" : "#616161";
  const common = {
    fixedrange: true, gridcolor: dark ? "#424242" : "#e0e0e0", zeroline: false, color: ink,
    automargin: false, tickfont: { size: 11 },
  };
  const span = SPANS.find((known) => seconds < known) ?? SPANS.at(-1);
  const tickvals = [0.5, 0].map((part) => -part * span);
  const times = { range: [-span, 0], tickvals, ticktext: tickvals.map((tick) => (tick ? `−${-tick} s` : "now")) };
  const { clientWidth: width, clientHeight: height } = area;
  const found = {
    width, height, showlegend: false, margin: { l: 0, r: 0, t: 0, b: 0 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "x", dragmode: false,
  };
  for (const { axis, place, highest: high } of panels) {
    const left = place.offsetLeft, above = place.offsetTop;
    found[`xaxis${axis}`] = {
      ...common, ...times, anchor: `y${axis}`, domain: [(left + 38) / width, (left + place.clientWidth - 16) / width],
    };
    found[`yaxis${axis}`] = {
      ...common, nticks: 4, range: [0, high * 1.04], anchor: `x${axis}`,
      domain: [1 - (above + place.clientHeight - 22) / height, 1 - (above + 6) / height],
    };
  }
  return found;
}

/** The upper end of an axis: a round number that changes seldom. */
function highest(before, lines) {
  const most = lines.reduce((high, line) => line.y.reduce((sofar, value) => Math.max(sofar, value ?? 0), high), 0.5);
  if (most <= before && most >= before / 2.5) return before;
  const step = 10 ** Math.floor(Math.log10(most));
  return [1.2, 1.6, 2, 3, 4, 5, 6, 8, 10, 12].map((factor) => factor * step).find((value) => value >= most * 1.1);
}

function showLegend(panel, newest, palette) {
  for (const [name, { item }] of panel.entries) {
    if (panel.names.includes(name)) continue;
    item.remove();
    panel.entries.delete(name);
  }
  panel.names.forEach((name, index) => {
    if (!panel.entries.has(name)) panel.entries.set(name, legendEntry(panel.legend, name));
    const { value, line } = panel.entries.get(name);
    line.setAttribute("stroke", palette[index % palette.length]);
    line.setAttribute("stroke-dasharray", STROKES[index % STROKES.length]);
    value.textContent = newest[panel.key][name]?.toFixed(panel.digits) ?? "–";
  });
}

function legendEntry(legend, name) {
  const sample = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  sample.setAttribute("aria-hidden", "true");
  sample.innerHTML = '<line x1="0" y1="5" x2="28" y2="5" stroke-width="2.5"/>';
  const value = h("b", {});
  const item = h("li", {}, sample, name, value);
  legend.append(item);
  return { item, value, line: sample.firstChild };
}

function sentence(newest) {
  const of = (key, unit) => Object.entries(newest[key]).map(([name, value]) => `${name} ${value?.toFixed(0)} ${unit}`).join(", ");
  return `Answered: ${of("versions", "per second")}. Success: ${of("success", "percent")}. Latency: ${of("latency", "milliseconds")}.`;
}

export default dashboard;
