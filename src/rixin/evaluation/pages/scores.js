// What stands above the samples: decision, gap, differences, scores, cost, notes, commands.
const facts = JSON.parse(document.getElementById("facts").textContent);
const reports = facts.reports;

function section(name, title, ...content) {
  const place = document.getElementById(name);
  place.hidden = false;
  place.replaceChildren(make("h2", {}, title), ...content);
}

function resultOf(report, task, metric) {
  return report.results.find((one) => one.task === task && one.metric === metric) ?? null;
}

function unitOf({ task, metric }) {
  return reports.map((report) => resultOf(report, task, metric)).find(Boolean) ?? { higher_is_better: true };
}

// The metric that a task's role is about, or its first one.
function deciding(task) {
  const own = reports.flatMap((report) => report.results.filter((one) => one.task === task));
  return own.find((one) => one.role !== "shown") ?? own[0] ?? null;
}

function drawTop() {
  const first = reports[0];
  document.title = facts.title;
  document.getElementById("title").textContent = facts.title;
  const about = say("about", {
    suite: first.suite,
    hash: first.suite_hash.slice(0, 12),
    seed: first.seed,
    when: first.created_at.slice(0, 16).replace("T", " "),
  });
  document.getElementById("about").textContent = about;
}

// What a check found, in the page's language; decisions of earlier versions have English only.
function inWords(check) {
  return (language === "zh" && check.said_zh) || check.said;
}

function drawDecision() {
  const decision = facts.decision;
  if (!decision) return;
  const rows = decision.checks.map((check) => {
    const tone = check.passed ? "right" : "wrong";
    const mark = make(
      "span",
      { class: `chip ${tone}` },
      `${check.passed ? "✓" : "✗"} ${say(check.passed ? "passed" : "failed")}`,
    );
    return row(
      `${check.task} / ${check.metric}`,
      cell(say(check.kind), ""),
      make("td", {}, mark),
      cell(inWords(check), "said"),
    );
  });
  const deciding = decision.checks.find((check) => decision.reason.endsWith(check.said));
  const reason = deciding ? inWords(deciding) : decision.reason;
  const word = make(
    "span",
    { class: `chip ${decision.promote ? "right" : "wrong"}` },
    say(decision.promote ? "promote" : "keep"),
  );
  section(
    "decision",
    say("decision"),
    make("p", { class: "say" }, word, ` – ${reason}`),
    table(say("decision"), [say("check"), say("role"), say("result"), say("reason")], rows),
    make("p", { class: "soft" }, `gate ${decision.gate_hash.slice(0, 12)}`),
  );
}

function drawStandings() {
  const all = facts.standings;
  if (!all.length) return;
  const marks = { ahead: "▲", behind: "▼", level: "=", open: "?" };
  const rows = all.map((one) => {
    const kind = unitOf(one);
    const sign = kind.higher_is_better ? 1 : -1;
    const most = reach(all, kind);
    const [difference, interval] = gaps(kind, one);
    return row(
      one.task,
      cell(one.model, ""),
      make(
        "td",
        {},
        make("span", { class: `chip ${one.verdict}` }, `${marks[one.verdict]} ${say(one.verdict)}`),
      ),
      cell(shown(kind, sign * one.local_score)),
      cell(shown(kind, sign * one.remote_score)),
      cell(difference),
      cell(interval),
      chart({
        least: -most,
        most,
        low: one.low,
        high: one.high,
        point: one.difference,
        zero: 0,
        tone: one.verdict,
      }),
      cell(integer(one.items)),
    );
  });
  const count = (verdict) => all.filter((one) => one.verdict === verdict).length;
  section(
    "standings",
    say("standings"),
    make(
      "p",
      { class: "say" },
      say("gapSays", {
        model: reports[0].model,
        ahead: count("ahead"),
        level: count("level"),
        behind: count("behind"),
        open: count("open"),
        all: all.length,
      }),
    ),
    table(
      say("standings"),
      ["task", "model", "verdict", "local", "remote", "gapBy", "interval"]
        .map((name) => say(name))
        .concat(say("sided"), say("items")),
      rows,
    ),
  );
}

function drawDifferences() {
  if (facts.kind !== "comparison") return;
  const [comparison] = facts.comparisons;
  const [a, b] = [reports[comparison.a], reports[comparison.b]];
  const rows = comparison.pairs.map((one) => {
    const result = unitOf(one);
    const sign = result.higher_is_better ? 1 : -1;
    const most = reach(comparison.pairs, result);
    const [difference, interval] = gaps(result, one);
    const tone = one.low > 0 ? "ahead" : one.high < 0 ? "behind" : "open";
    return row(
      `${one.task} / ${one.metric}`,
      cell(shown(result, sign * one.a)),
      cell(shown(result, sign * one.b)),
      cell(difference),
      cell(interval),
      chart({ least: -most, most, low: one.low, high: one.high, point: one.difference, zero: 0, tone }),
      cell(one.p_better.toFixed(3)),
      cell((100 * one.smallest).toFixed(1)),
      cell(`+${one.gained} −${one.lost}`),
      cell(integer(one.items)),
    );
  });
  const names = ["difference", "interval", "sided", "chance", "can", "change", "items"].map((name) =>
    say(name),
  );
  const columns = [say("task"), "A", "B", ...names];
  section(
    "differences",
    say("differences"),
    table(say("differences"), columns, rows),
    make("p", { class: "soft" }, say("pairSays", { a: a.model, b: b.model })),
  );
}

function drawScores() {
  const results = reports.flatMap((report) => report.results.map((result) => ({ report, result })));
  const names = [...new Set(results.map(({ result }) => `${result.task}\n${result.metric}`))];
  const several = reports.length > 1;
  const dirty = results.some(({ result }) => result.clean_items !== result.items);
  const rows = names.flatMap((name) => {
    const own = results.filter(({ result }) => `${result.task}\n${result.metric}` === name);
    const sized = !own[0].result.higher_is_better;
    const most = sized ? 1.05 * Math.max(...own.map(({ result }) => result.high)) : 1;
    return own.map(({ report, result }) => {
      const clean = result.clean !== null && result.clean_items !== result.items ? result.clean : null;
      const cells = [
        cell(result.metric, ""),
        cell(shown(result, result.score)),
        cell(`${shown(result, result.low)} – ${shown(result, result.high)}`),
      ];
      if (several) cells.unshift(cell(report.model, ""));
      cells.push(chart({ least: 0, most, low: result.low, high: result.high, point: result.score, clean }));
      if (dirty)
        cells.push(
          cell(clean === null ? say("none") : `${shown(result, clean)} (${integer(result.clean_items)})`),
        );
      cells.push(cell(integer(result.items)), cell(say(result.role), ""));
      return row(result.task, ...cells);
    });
  });
  const columns = [
    say("task"),
    ...(several ? [say("model")] : []),
    say("metric"),
    say("score"),
    say("interval"),
    say("sized"),
  ];
  columns.push(...(dirty ? [say("clean")] : []), say("items"), say("role"));
  section(
    "scores",
    say("scores"),
    table(say("scores"), columns, rows),
    dirty ? make("p", { class: "soft" }, say("cleanSays")) : null,
  );
}

function drawCost() {
  const rows = reports.map((report) => {
    const main = report.results.find((one) => one.role === "primary") ?? report.results[0];
    const { seconds, prompt_tokens, answer_tokens, memory_bytes } = report.cost;
    return row(
      report.model,
      cell(main ? `${shown(main, main.score)} (${main.task})` : say("none")),
      cell(`${integer(Math.round(seconds))} s`),
      cell(integer(prompt_tokens)),
      cell(integer(answer_tokens)),
      cell(answer_tokens && seconds ? (answer_tokens / seconds).toFixed(1) : say("none")),
      cell(memory_bytes ? `${integer(Math.round(memory_bytes / 2 ** 20))} MB` : say("none")),
      cell(report.machine || say("none"), ""),
    );
  });
  const columns = ["model", "deciding", "seconds", "asked", "answered", "rate", "memory", "machine"].map(
    (name) => say(name),
  );
  section("cost", say("cost"), table(say("cost"), columns, rows));
}

function drawNotes() {
  const lines = reports.flatMap((report) => {
    const settings = Object.entries(report.settings)
      .map(([name, value]) => `${name} = ${value}`)
      .join(", ");
    const about = say("versions", report);
    return [
      settings ? `${about}; ${settings}` : about,
      ...report.notes.map((note) => `${report.model}: ${note}`),
    ];
  });
  lines.push(...facts.comparisons.flatMap((one) => one.notes));
  if (facts.cut) lines.push(say("cut", { count: integer(facts.cut) }));
  section("notes", say("notes"), make("ul", {}, ...lines.map((line) => make("li", {}, line))));
}

function drawAgain() {
  const commands = [...new Set(reports.map((report) => report.command))];
  const block = (text) => make("pre", { tabindex: "0" }, text);
  section(
    "again",
    say("again"),
    make("h3", {}, say("fresh")),
    block(commands.join("\n")),
    make("h3", {}, say("draw")),
    block(facts.command),
  );
}
