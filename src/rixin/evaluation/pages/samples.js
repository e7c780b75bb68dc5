// The list of samples: filters, search, and only the rows of one page in the document.
const ROWS = 50;
const MARKS = { right: "✓", wrong: "✗", partly: "◐", unjudged: "·", absent: " " };
const SIGNS = { gained: "▲", lost: "▼", same: "=" };
const narrow = matchMedia("(max-width: 640px)");
const view = {
  task: "",
  state: "",
  change: "",
  pair: 0,
  contaminated: false,
  query: "",
  page: 0,
  open: new Set(),
};
let samples = null;

function stateOf(at, report) {
  const main = deciding(samples.task(at));
  const score = main ? samples.score(at, report, main.metric) : null;
  if (score === null) return samples.prompt(at, report) === null ? "absent" : "unjudged";
  if (!main.higher_is_better) return "unjudged";
  return score >= 1 ? "right" : score <= 0 ? "wrong" : "partly";
}

function changeOf(at) {
  const pair = facts.comparisons[view.pair];
  const main = deciding(samples.task(at));
  const [a, b] = [pair.a, pair.b].map((report) => samples.score(at, report, main?.metric));
  return a === null || b === null ? 0 : b - a;
}

function changeName(difference) {
  return difference > 0 ? "gained" : difference < 0 ? "lost" : "same";
}

// The report whose verdict the filter is about: the only one, B of a comparison, the local one of a gap.
function subject() {
  return facts.comparisons.length ? facts.comparisons[view.pair].b : 0;
}

function chosen() {
  const words = view.query.toLowerCase().split(/\s+/).filter(Boolean);
  const texts = words.length ? samples.texts() : null;
  const found = [];
  for (let at = 0; at < samples.length; at++) {
    if (view.task && samples.task(at) !== view.task) continue;
    if (view.state && stateOf(at, subject()) !== view.state) continue;
    if (view.contaminated && !samples.contaminated.has(at)) continue;
    if (view.change && changeName(changeOf(at)) !== view.change) continue;
    if (texts && !words.every((word) => texts[at].includes(word))) continue;
    found.push(at);
  }
  if (!facts.comparisons.length) return found;
  // What differs stands first, and of that the largest differences.
  const sizes = new Map(found.map((at) => [at, Math.abs(changeOf(at))]));
  return found.sort((one, other) => sizes.get(other) - sizes.get(one) || one - other);
}

function choice(name, options, value, changed) {
  const select = make("select", { onchange: (event) => changed(event.target.value) });
  for (const [key, text] of options)
    select.append(make("option", { value: key, selected: key === value }, text));
  return make("label", {}, say(name), select);
}

function drawFilters() {
  const change = (name) => (value) => {
    view[name] = name === "pair" ? Number(value) : value;
    view.page = 0;
    drawList();
  };
  const named = (names) => [["", say("all")], ...names.map((name) => [name, say(name)])];
  const search = make("input", {
    type: "search",
    id: "search",
    value: view.query,
    title: say("searchTip"),
    oninput: (event) => change("query")(event.target.value),
  });
  const parts = [make("label", { class: "search" }, say("search"), search)];
  const tasks = samples.packed.tasks;
  if (tasks.length > 1)
    parts.push(
      choice("task", [["", say("all")], ...tasks.map((task) => [task, task])], view.task, change("task")),
    );
  if (facts.comparisons.length > 1) {
    const pairs = facts.comparisons.map((pair, number) => [
      String(number),
      `${reports[pair.b].model} – ${reports[pair.a].model}`,
    ]);
    parts.push(choice("pair", pairs, String(view.pair), change("pair")));
  }
  if (facts.comparisons.length)
    parts.push(choice("changes", named(["gained", "lost", "same"]), view.change, change("change")));
  parts.push(choice("state", named(["right", "partly", "wrong", "unjudged"]), view.state, change("state")));
  if (samples.contaminated.size) {
    const box = make("input", {
      type: "checkbox",
      checked: view.contaminated,
      onchange: (event) => change("contaminated")(event.target.checked),
    });
    parts.push(make("label", { class: "check" }, box, say("only")));
  }
  document.getElementById("filters").replaceChildren(...parts);
}

function drawList() {
  const found = chosen();
  const pages = Math.max(1, Math.ceil(found.length / ROWS));
  view.page = Math.min(view.page, pages - 1);
  document.getElementById("count").textContent = say("found", {
    shown: integer(found.length),
    all: integer(samples.length),
  });
  const rows = found.slice(view.page * ROWS, (view.page + 1) * ROWS).flatMap(drawRow);
  const several = reports.length > 1;
  const columns = [
    make("th", { scope: "col", class: "mark" }, say("state")),
    make("th", { scope: "col" }, say("question")),
  ];
  if (!narrow.matches) columns.push(make("th", { scope: "col", class: "task" }, say("task")));
  if (several) columns.splice(1, 0, make("th", { scope: "col", class: "mark" }, say("changes")));
  const list = make(
    "table",
    { "aria-label": say("samples") },
    make("thead", {}, make("tr", {}, ...columns)),
    make("tbody", {}, ...rows),
  );
  document.getElementById("list").replaceChildren(found.length ? list : make("p", {}, say("nothing")));
  drawPager(pages);
}

function drawPager(pages) {
  const turn = (by, name, end) => {
    const go = () => {
      view.page += by;
      drawList();
      document.getElementById("count").scrollIntoView();
      document.querySelector("#list button")?.focus({ preventScroll: true });
    };
    return make("button", { type: "button", disabled: end, onclick: go }, say(name));
  };
  const place = document.getElementById("pager");
  place.hidden = pages < 2;
  place.replaceChildren(
    turn(-1, "before", view.page === 0),
    make("span", {}, say("page", { page: integer(view.page + 1), pages: integer(pages) })),
    turn(1, "after", view.page === pages - 1),
  );
}

function drawRow(at) {
  const open = view.open.has(at);
  const state = stateOf(at, subject());
  const several = reports.length > 1;
  const toggle = () => {
    if (!view.open.delete(at)) view.open.add(at);
    drawList();
    document.querySelector(`[data-at="${at}"]`)?.focus({ preventScroll: true });
  };
  const button = make(
    "button",
    { type: "button", "aria-expanded": String(open), "data-at": at, onclick: toggle },
    ...marked(snippet(samples.question(at))),
  );
  const cells = [
    make("td", { class: `mark chip ${state}` }, ...sign(MARKS[state], state)),
    make("td", {}, button),
  ];
  if (!narrow.matches) cells.push(make("td", { class: "task" }, samples.task(at)));
  if (several) {
    const change = changeName(changeOf(at));
    cells.splice(1, 0, make("td", { class: `mark chip ${change}` }, ...sign(SIGNS[change], change)));
  }
  const line = make("tr", {}, ...cells);
  return open
    ? [line, make("tr", {}, make("td", { class: "detail", colspan: cells.length }, ...detail(at)))]
    : [line];
}

// A sign with its word, which a narrow page has only for those who listen.
function sign(mark, name) {
  return [`${mark} `, make("span", { class: "word" }, say(name))];
}

function detail(at) {
  const prompts = reports.map((_, report) => samples.prompt(at, report));
  const alike = new Set(prompts.filter((prompt) => prompt !== null)).size < 2;
  const parts = [make("p", { class: "soft" }, `${samples.task(at)} / ${samples.packed.item[at]}`)];
  if (alike) parts.push(make("h3", {}, say("prompt")), text(samples.first(at), say("prompt")));
  if (samples.packed.expected[at])
    parts.push(make("h3", {}, say("wanted")), text(samples.packed.expected[at], say("wanted")));
  const answers = reports.map((report, number) =>
    prompts[number] === null ? null : answer(at, number, report, alike),
  );
  return [...parts, make("div", { class: "answers" }, ...answers.filter(Boolean))];
}

function answer(at, number, report, alike) {
  const column = samples.packed.columns[number];
  const state = stateOf(at, number);
  const scores = samples
    .scores(at, number)
    .map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`)
    .join(", ");
  const took = say("took", {
    seconds: column.seconds[at],
    asked: integer(column.prompt_tokens[at]),
    answered: integer(column.answer_tokens[at]),
  });
  const notes = [scores, took];
  if (column.repeats[at] > 1) notes.push(say("repeats", { count: column.repeats[at] }));
  if (column.contaminated.includes(at)) notes.push(say("contaminated"));
  const name = reports.length > 1 ? report.model : say("answer");
  return make(
    "div",
    {},
    make("h3", {}, `${name} `, make("span", { class: `chip ${state}` }, `${MARKS[state]} ${say(state)}`)),
    alike ? null : text(samples.prompt(at, number), say("prompt")),
    text(column.answer[at], `${say("answer")} ${report.model}`),
    column.verdict[at] ? make("p", {}, ...marked(column.verdict[at])) : null,
    make("p", { class: "soft" }, notes.join(" · ")),
  );
}

function text(content, label) {
  return make("pre", { tabindex: "0", dir: "auto", role: "region", "aria-label": label }, ...marked(content));
}

function terms() {
  return view.query
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
}

// The text as nodes, with what was searched for marked.
function marked(content) {
  if (!terms().length) return [content];
  return content
    .split(new RegExp(`(${terms().join("|")})`, "i"))
    .map((part, at) => (at % 2 ? make("mark", {}, part) : part));
}

// One line of a question, from where the search hits it.
function snippet(question) {
  const line = question.replace(/\s+/g, " ").trim();
  const hit = terms().length ? line.search(new RegExp(terms().join("|"), "i")) : -1;
  const start = hit > 60 ? hit - 40 : 0;
  return `${start ? "…" : ""}${line.slice(start, start + 220)}`;
}
