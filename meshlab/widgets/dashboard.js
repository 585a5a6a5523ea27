// Four panels of lines, drawn by plotly, twice a second. Colours are told apart by their dashes too.

const KEPT = 240;
const SECONDS = 120;
const HEIGHT = 150;
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
  let paused = false;
  const pause = h("button", { type: "button", "aria-pressed": "false", onclick: togglePause }, "Pause");
  figures.append(h("h3", {}, "Traffic, last two minutes"), mode, rate, success, state, pause);
  const panels = PANELS.map(makePanel);
  const root = h("section", { class: "lm lm-dashboard", "aria-label": "Live traffic" },
    figures, h("div", { class: "lm-panels" }, ...panels.map((panel) => panel.element)), voice.element);
  el.replaceChildren(root);

  const Plotly = await loadPlotly(model);
  let inSight = true;
  const sight = new IntersectionObserver(([entry]) => { inSight = entry.isIntersecting; if (inSight) draw(); });
  sight.observe(root);
  const theme = new MutationObserver(() => draw());
  theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  const sizes = new ResizeObserver(() => draw());
  sizes.observe(root);
  feed.views.add(draw);
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
    for (const panel of panels) drawPanel(Plotly, panel, feed.points, newest, dark);
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
    voice.stop();
    sight.disconnect();
    sizes.disconnect();
    theme.disconnect();
    feed.views.delete(draw);
    for (const panel of panels) Plotly.purge(panel.plot);
  };
}

function makePanel(panel) {
  const plot = h("div", { class: "lm-plot", role: "img", "aria-label": `${panel.title}, ${panel.unit}` });
  const legend = h("ul", { class: "lm-legend" });
  const title = h("h4", {}, panel.title, " ", h("span", { class: "lm-soft" }, panel.unit));
  // `names` only grows: a line keeps its colour while others come and go.
  return { ...panel, plot, legend, names: [], entries: new Map(), highest: 0, element: h("div", { class: "lm-panel" }, title, plot, legend) };
}

function drawPanel(Plotly, panel, points, newest, dark) {
  for (const point of panel.names.length ? [newest] : points) {
    for (const name of Object.keys(point[panel.key])) if (!panel.names.includes(name)) panel.names.push(name);
  }
  panel.names = panel.names.filter((name) => points.some((point) => name in point[panel.key]));
  const colours = COLOURS[dark ? "dark" : "light"];
  const x = points.map((point) => point.t - newest.t);
  const traces = panel.names.map((name, index) => ({
    type: "scatter", mode: "lines", name, x,
    y: points.map((point) => point[panel.key][name] ?? (panel.key === "latency" || panel.key === "success" ? null : 0)),
    line: { color: colours[index % 8], dash: DASHES[index % 8], width: 2 },
    hovertemplate: `%{y:.${panel.digits}f} ${panel.unit}`,
  }));
  showLegend(panel, newest, colours);
  Plotly.react(panel.plot, traces, layout(panel, traces, dark), { displayModeBar: false, doubleClick: false });
}

function layout(panel, traces, dark) {
  const ink = dark ? "#bdbdbd" : "#616161";
  const line = dark ? "#424242" : "#e0e0e0";
  const axis = { fixedrange: true, gridcolor: line, zeroline: false, color: ink, automargin: false, tickfont: { size: 11 } };
  return {
    width: panel.plot.clientWidth, height: HEIGHT, showlegend: false,
    margin: { l: 38, r: 8, t: 8, b: 22 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    hovermode: "x", dragmode: false, font: { color: ink },
    xaxis: { ...axis, range: [-SECONDS, 0], tickvals: [-120, -90, -60, -30, 0], ticktext: ["−2 min", "−90 s", "−1 min", "−30 s", "now"] },
    yaxis: { ...axis, range: [0, panel.top ? panel.top * 1.05 : top(panel, traces)], nticks: 5 },
  };
}

/** The upper end of an axis: a round number that changes seldom. */
function top(panel, traces) {
  const most = traces.reduce((high, trace) => trace.y.reduce((sofar, value) => Math.max(sofar, value ?? 0), high), 0.5);
  if (most > panel.highest || most < panel.highest / 2.5) {
    const step = 10 ** Math.floor(Math.log10(most));
    panel.highest = [1.2, 1.6, 2, 3, 4, 5, 6, 8, 10, 12].map((factor) => factor * step).find((value) => value >= most * 1.1);
  }
  return panel.highest;
}

function showLegend(panel, newest, colours) {
  for (const [name, entry] of panel.entries) if (!panel.names.includes(name)) { entry.item.remove(); panel.entries.delete(name); }
  panel.names.forEach((name, index) => {
    if (!panel.entries.has(name)) {
      const value = h("b", {});
      const sample = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      sample.setAttribute("aria-hidden", "true");
      const item = h("li", {}, sample, name, value);
      panel.legend.append(item);
      panel.entries.set(name, { item, value, sample });
    }
    const { value, sample } = panel.entries.get(name);
    const style = `stroke="${colours[index % 8]}" stroke-dasharray="${STROKES[index % 8]}"`;
    if (sample.dataset.style !== style) {
      sample.dataset.style = style;
      sample.innerHTML = `<line x1="0" y1="5" x2="28" y2="5" stroke-width="2.5" ${style}/>`;
    }
    const figure = newest[panel.key][name];
    value.textContent = figure === undefined || figure === null ? "–" : figure.toFixed(panel.digits);
  });
}

function sentence(newest) {
  const of = (key, unit) => Object.entries(newest[key]).map(([name, value]) => `${name} ${value?.toFixed(0)} ${unit}`).join(", ");
  return `Answered: ${of("versions", "per second")}. Success: ${of("success", "percent")}. Latency: ${of("latency", "milliseconds")}.`;
}

export default dashboard;
