// What every widget uses: elements, the YAML view, a calm voice for screen readers. Loaded before each widget's script.

/** An element with attributes and children; attributes that start with "on" are listeners. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  if (/^(input|button|summary)$/.test(tag)) {
    // JupyterLab's shortcuts reach into widgets: "d d" on a slider would delete the cell.
    element.setAttribute("data-lm-suppress-shortcuts", "true");
  }
  return element;
}

/** Says the newest of what it is told, at most once in `pause` milliseconds. */
function quietVoice(pause) {
  const element = h("div", { class: "lm-hidden", role: "status", "aria-live": "polite" });
  let next = null;
  let timer = null;
  const speak = () => {
    timer = null;
    if (next === null) return;
    element.textContent = next;
    next = null;
    timer = setTimeout(speak, pause);
  };
  return {
    element,
    say(sentence) {
      if (sentence === element.textContent) return;
      next = sentence;
      if (timer === null) speak();
    },
    stop: () => clearTimeout(timer),
  };
}

/** YAML, its keys and comments set apart, that can be read, selected and reached by keyboard. */
function yamlView(label) {
  const element = h("pre", { class: "lm-yaml", tabindex: "0", role: "region", "aria-label": label });
  element.setAttribute("data-lm-suppress-shortcuts", "true");
  return {
    element,
    set(text) {
      element.replaceChildren(...text.split("\n").flatMap((line) => [...yamlLine(line), "\n"]).slice(0, -1));
    },
  };
}

function yamlLine(line) {
  const found = /^(\s*(?:- )?)([\w./-]+:)(.*)$/.exec(line);
  if (/^\s*#/.test(line)) return [h("span", { class: "lm-comment" }, line)];
  return found ? [found[1], h("span", { class: "lm-key" }, found[2]), found[3]] : [line];
}

/** A button that copies what `text()` gives, and says so. */
function copyButton(label, text) {
  const button = h("button", { type: "button", onclick: copy }, label);
  async function copy() {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy it by hand";
    }
    setTimeout(() => (button.textContent = label), 2000);
  }
  return button;
}
