// Elements, tables and charts. Text only ever becomes a text node or an attribute.
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

function table(caption, columns, rows) {
  const head = columns.map((name) => make("th", { scope: "col" }, name));
  const body = make(
    "table",
    { "aria-label": caption },
    make("thead", {}, make("tr", {}, ...head)),
    make("tbody", {}, ...rows),
  );
  // Reachable by keyboard, since it may scroll sideways.
  return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption }, body);
}

function row(first, ...cells) {
  return make("tr", {}, make("th", { scope: "row" }, first), ...cells);
}

function cell(text, kind = "number") {
  return make("td", { class: kind }, text);
}

function drawn(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// A point with its interval between `least` and `most`; the numbers stand beside it, so that readers skip the drawing.
function chart({ least, most, low, high, point, clean = null, zero = null, tone = "" }) {
  const at = (value) => `${(100 * (Math.min(most, Math.max(least, value)) - least)) / (most - least || 1)}%`;
  const line = (value, kind) => drawn("line", { x1: at(value), x2: at(value), y1: 1, y2: 19, class: kind });
  const parts = [0, 0.25, 0.5, 0.75, 1].map((share) => line(least + share * (most - least), "grid"));
  if (zero !== null) parts.push(line(zero, "zero"));
  parts.push(drawn("line", { x1: at(low), x2: at(high), y1: 10, y2: 10, class: "range" }));
  parts.push(drawn("circle", { cx: at(point), cy: 10, r: 5, class: "point" }));
  if (clean !== null) parts.push(drawn("circle", { cx: at(clean), cy: 10, r: 4, class: "clean" }));
  return make("td", { class: "chart" }, drawn("svg", { "aria-hidden": "true", class: tone }, ...parts));
}

function share(value) {
  return `${(100 * value).toFixed(1)}%`;
}

function shown(result, value) {
  return result.higher_is_better ? share(value) : value.toFixed(3);
}

// Hundredths with their sign, as people speak of scores.
function points(value) {
  const text = Math.abs(100 * value).toFixed(1);
  return `${value < 0 ? "−" : "+"}${text}`;
}

// B − A as it is shown: where lower is better, samples are compared by the opposite sign.
function gaps(result, { difference, low, high }) {
  if (result.higher_is_better) return [points(difference), `${points(low)} … ${points(high)}`];
  const [text, from, to] = [difference, high, low].map(
    (value) => `${value > 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`,
  );
  return [text, `${from} … ${to}`];
}

// How far a chart of differences reaches to each side: alike for all that have the same unit.
function reach(pairs, result) {
  const own = pairs.filter((one) => unitOf(one).higher_is_better === result.higher_is_better);
  return Math.max(0.01, ...own.flatMap((one) => [Math.abs(one.low), Math.abs(one.high)]));
}

function integer(value) {
  return value.toLocaleString(language === "zh" ? "zh-CN" : "en-GB");
}
