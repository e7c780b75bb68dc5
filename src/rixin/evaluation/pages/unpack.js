// From base64 and deflate to columns, and from columns to rows as they are looked at.
async function unpack() {
  const holder = document.getElementById("packed");
  const letters = atob(holder.textContent.trim());
  holder.textContent = "";
  const bytes = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) bytes[at] = letters.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Samples(await new Response(stream).json());
}

class Samples {
  constructor(packed) {
    this.packed = packed;
    this.length = packed.item.length;
    let last = "";
    this.prompts = packed.prompts.map(([common, rest]) => (last = last.slice(0, common) + rest));
    this.contaminated = new Set(packed.columns.flatMap((column) => column.contaminated));
    this.frames = packed.tasks.map((_, task) => this.frame(task));
    this.hay = null;
  }

  task(at) {
    return this.packed.tasks[this.packed.task[at]];
  }

  prompt(at, report) {
    const number = this.packed.columns[report].prompt[at];
    return number < 0 ? null : this.prompts[number];
  }

  first(at) {
    for (let report = 0; report < this.packed.columns.length; report++) {
      const prompt = this.prompt(at, report);
      if (prompt !== null) return prompt;
    }
    return "";
  }

  // How long the beginning and the end are that all prompts of a task share: examples, marks of the chat template.
  frame(task) {
    const own = [];
    for (let at = 0; at < this.length; at++) if (this.packed.task[at] === task) own.push(this.first(at));
    if (own.length < 2) return [0, 0];
    const [model] = own;
    let [start, end] = [model.length, model.length];
    for (const prompt of own) {
      if (prompt.startsWith(model.slice(0, start))) continue;
      let same = 0;
      while (prompt[same] === model[same]) same++;
      start = same;
    }
    // Whole lines only: questions that begin with the same word keep it.
    start = model.lastIndexOf("\n", start - 1) + 1;
    for (const prompt of own) {
      if (prompt.endsWith(model.slice(model.length - end))) continue;
      let same = 0;
      while (prompt.at(-1 - same) === model.at(-1 - same)) same++;
      end = same;
    }
    const seam = model.slice(model.length - end).search(/[\n<]/);
    return [start, seam < 0 ? 0 : end - seam];
  }

  // A prompt without what is the same for its whole task.
  question(at) {
    const [start, end] = this.frames[this.packed.task[at]];
    const prompt = this.first(at);
    const kept = prompt.slice(start, prompt.length - end).trim();
    return kept || prompt;
  }

  score(at, report, metric) {
    const number = this.packed.metrics[this.packed.task[at]].indexOf(metric);
    return this.packed.columns[report].scores[at][number] ?? null;
  }

  scores(at, report) {
    const names = this.packed.metrics[this.packed.task[at]];
    return names.map((name) => [name, this.score(at, report, name)]).filter(([, value]) => value !== null);
  }

  // Everything of a row that can be searched, in small letters; made when first asked for.
  texts() {
    this.hay ??= Array.from({ length: this.length }, (_, at) =>
      [
        this.packed.item[at],
        this.question(at),
        this.packed.expected[at],
        ...this.packed.columns.flatMap((column) => [column.answer[at], column.verdict[at]]),
      ]
        .join("\n")
        .toLowerCase(),
    );
    return this.hay;
  }
}
