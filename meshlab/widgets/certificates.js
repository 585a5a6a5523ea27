// Two tables that say who is who. Times are worked out here, so that they go on while nothing is sent.

const HOUR = 3600;

function render({ model, el }) {
  const who = h("tbody");
  const edges = h("tbody");
  const caption = h("caption", {});
  const error = h("div", { class: "lm-bad", role: "status" });
  el.replaceChildren(
    h("section", { class: "lm lm-certificates", "aria-label": "Certificates" },
      h("h3", {}, "Who is who"), error,
      h("div", { class: "lm-scroll" },
        table(h("caption", {}, "Each sidecar and the identity its certificate proves"), ["Pod", "Identity", "Valid until", "Time left", "Sidecar"], who),
        table(caption, ["Caller", "", "Answered by", "Requests", "mTLS"], edges))),
  );

  function show() {
    const state = model.get("state");
    error.textContent = state.error ? `✗ ${state.error}` : "";
    caption.textContent = `Was it proven? Requests of the last ${state.window} seconds, as the sidecars reported them`;
    who.replaceChildren(...(state.proxies.length ? state.proxies.map(proxyRow) : [emptyRow("no sidecar yet")]));
    edges.replaceChildren(...(state.edges.length ? state.edges.map(edgeRow) : [emptyRow("no requests")]));
  }

  const timer = setInterval(show, 30000);
  model.on("change:state", show);
  show();
  return () => {
    clearInterval(timer);
    model.off("change:state", show);
  };
}

function table(caption, heads, body) {
  const head = h("tr", {}, ...heads.map((text) => (text ? h("th", { scope: "col" }, text) : h("td"))));
  return h("table", {}, caption, h("thead", {}, head), body);
}

const emptyRow = (text) => h("tr", {}, h("td", { colspan: 5, class: "lm-soft" }, text));

function proxyRow({ proxy, identity, certificate, connected }) {
  const link = connected
    ? h("span", { class: "lm-good" }, "✓ connected")
    : h("span", { class: "lm-bad" }, "✗ not connected");
  const cells = certificate ? validity(certificate) : [h("td", { class: "lm-soft" }, "no certificate yet"), h("td")];
  return h("tr", {}, h("th", { scope: "row" }, proxy), h("td", {}, h("code", {}, identity)), ...cells, h("td", {}, link));
}

function validity({ serial, not_before: from, not_after: until }) {
  const left = until - Date.now() / 1000;
  const share = Math.max(0, Math.min(1, left / (until - from)));
  const words = left <= 0 ? "expired" : left > HOUR ? `${Math.floor(left / HOUR)} h ${Math.floor((left % HOUR) / 60)} min` : `${Math.floor(left / 60)} min`;
  const when = new Date(until * 1000).toLocaleString([], { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  const bar = h("meter", { min: 0, max: 1, low: 0.1, value: share, "aria-label": `${Math.round(100 * share)} % of its time is left` });
  return [h("td", { title: `serial ${serial}` }, when), h("td", {}, bar, " ", words)];
}

function edgeRow({ source, destination, destination_workload: workload, requests, failures, mtls, tls }) {
  // A call that failed on the way reached nobody whose identity could have been proven.
  const unproven = requests - mtls - failures;
  const how =
    unproven > 0 ? h("span", { class: "lm-bad" }, `✗ ${unproven} in plain text`)
    : mtls === 0 ? h("span", { class: "lm-soft" }, "– none arrived")
    : h("span", { class: "lm-good" }, mtls < requests ? `✓ all that arrived (${tls})` : `✓ all (${tls})`);
  const answered = h("td", {}, destination || "nobody proven", workload ? h("span", { class: "lm-soft" }, ` (${workload})`) : null);
  return h("tr", {}, h("th", { scope: "row" }, source || "nobody proven"), h("td", { "aria-hidden": "true" }, "→"), answered, h("td", {}, String(requests)), h("td", {}, how));
}

export default { render };
