// Sliders that share a hundred parts. Moving one takes from the others in proportion, so the sum stays.

const FULL = 100;
let made = 0;

/** The weights after `moved` was set to `wanted`. */
function shift(weights, moved, wanted) {
  const others = Object.keys(weights).filter((name) => name !== moved);
  if (others.length === 0) return { [moved]: FULL };
  const rest = FULL - wanted;
  const before = others.reduce((sum, name) => sum + weights[name], 0);
  const share = (name) => (before ? (rest * weights[name]) / before : rest / others.length);
  const after = Object.fromEntries(Object.keys(weights).map((name) => [name, name === moved ? wanted : Math.floor(share(name))]));
  // What rounding left over goes where most was cut off, so that the sum is exact.
  const cut = others.sort((a, b) => (share(b) % 1) - (share(a) % 1));
  let left = rest - others.reduce((sum, name) => sum + after[name], 0);
  for (const name of cut) if (left-- > 0) after[name] += 1;
  return after;
}

/** The same shares in hundredths, whatever the weights add up to. */
function hundredths(weights) {
  const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0) || 1;
  const [largest] = Object.keys(weights).sort((a, b) => weights[b] - weights[a]);
  const after = Object.fromEntries(Object.entries(weights).map(([name, weight]) => [name, Math.round((FULL * weight) / total)]));
  if (largest) after[largest] += FULL - Object.values(after).reduce((sum, weight) => sum + weight, 0);
  return after;
}

function render({ model, el }) {
  const rows = new Map();
  let weights = {};
  let held = false;

  const sliders = h("div", { role: "group", "aria-label": `Shares of the calls to ${model.get("service")}` });
  const about = h("span", { class: "lm-soft" });
  const words = h("div", { class: "lm-words" });
  const voice = quietVoice(2000);
  const yaml = yamlView("The TrafficSplit that says the same");
  const command = h("pre", { class: "lm-yaml", tabindex: "0", role: "region", "aria-label": "The kubectl command" });
  command.setAttribute("data-lm-suppress-shortcuts", "true");
  el.replaceChildren(
    h("section", { class: "lm lm-split", "aria-label": `Traffic split of ${model.get("service")}` },
      h("div", { class: "lm-head" }, h("h3", {}, `Calls to ${model.get("service")}`), about),
      h("div", { class: "lm-body" },
        h("div", {}, sliders, words, voice.element,
          h("details", {}, h("summary", {}, "The same with kubectl"), command,
            copyButton("Copy command", () => model.get("state").command))),
        h("details", { open: "" }, h("summary", {}, "The same in YAML"), yaml.element,
          copyButton("Copy YAML", () => model.get("state").yaml))),
    ),
  );

  function addRow(name) {
    const id = `lm-slider-${++made}`;
    const output = h("output", { for: id });
    const input = h("input", {
      type: "range", id, min: 0, max: FULL, step: 1, "data-backend": name,
      oninput: () => move(name, input.valueAsNumber),
      onpointerdown: () => (held = true),
      onpointerup: release, onpointercancel: release, onblur: release,
    });
    const row = h("div", { class: "lm-slider" }, h("label", { for: id, title: name }, name), input, output);
    rows.set(name, { input, output, row });
    sliders.append(row);
  }

  function move(name, wanted) {
    weights = shift(weights, name, wanted);
    showWeights();
    // One message for each movement: Python writes the newest and passes over those in between.
    model.send({ type: "move", weights });
  }

  function release() {
    held = false;
    if (model.get("state").error) showState();
  }

  function showWeights() {
    for (const name of rows.keys()) if (!(name in weights)) { rows.get(name).row.remove(); rows.delete(name); }
    for (const [name, weight] of Object.entries(weights)) {
      if (!rows.has(name)) addRow(name);
      const { input, output } = rows.get(name);
      if (input.valueAsNumber !== weight) input.value = weight;
      input.setAttribute("aria-valuetext", `${weight} percent of the calls`);
      output.textContent = `${weight} %`;
    }
  }

  function showState() {
    const state = model.get("state");
    about.textContent = state.exists ? "by a TrafficSplit" : "no TrafficSplit yet: every pod gets the same share";
    yaml.set(state.yaml);
    command.textContent = state.command;
    if (!held) {
      weights = hundredths(Object.fromEntries(state.backends.map((row) => [row.service, row.weight])));
      showWeights();
    }
    showWords(state);
  }

  function showWords({ receipt, details, error }) {
    if (error) words.replaceChildren(h("div", { class: "lm-bad" }, `✗ ${error}`));
    else if (details) words.replaceChildren(h("details", {}, h("summary", {}, receipt), h("pre", {}, details)));
    else words.replaceChildren(receipt);
    voice.say(error || receipt);
  }

  model.on("change:state", showState);
  showState();
  return () => {
    voice.stop();
    model.off("change:state", showState);
  };
}

export default { render };
