import type { Annotation } from "../api/types";
import { unitAt } from "../lib/points";

/** A source of an answer: the number by which the text names it, and the places that were used. */
export interface Source {
  readonly number: number;
  readonly title: string;
  readonly places: readonly { readonly url: string; readonly quote: string; readonly matched: boolean }[];
}

// Private characters, which no Markdown rule knows. Those that a model writes itself are taken out before.
const OPEN = "\uE000";
const CLOSE = "\uE001";
const MARK = /\[?\uE000(\d+)\uE001\]?/;

/**
 * An answer's Markdown with its marks made unmistakable: `[1]` where an annotation says so, and nowhere else.
 *
 * The brackets are escaped, so that a mark at the start of a line or before another one never becomes a link.
 */
export function withMarks(content: string, annotations: readonly Annotation[]): string {
  let marked = "";
  let from = 0;
  const plain = content.replace(/[\uE000\uE001]/g, "\uFFFD");
  const inOrder = annotations
    .map((annotation, index) => ({ annotation, index }))
    .sort((one, other) => one.annotation.start - other.annotation.start);
  let point = 0;
  for (const { annotation, index } of inOrder) {
    if (annotation.start < point || annotation.stop <= annotation.start) continue;
    const start = from + unitAt(plain.slice(from), annotation.start - point);
    const stop = start + unitAt(plain.slice(start), annotation.stop - annotation.start);
    marked += `${plain.slice(from, start)}\\[${OPEN}${index}${CLOSE}\\]`;
    from = stop;
    point = annotation.stop;
  }
  return marked + plain.slice(from);
}

/** A text of the tree, cut at its marks: pieces of text, and the annotations' indices. */
export function cutMarks(text: string): (string | number)[] {
  return text
    .split(new RegExp(MARK, "g"))
    .map((part, index) => (index % 2 === 1 ? Number(part) : part))
    .filter((part) => part !== "");
}

/** What is cited, by its number; a place that is cited twice is there once. */
export function sourcesOf(annotations: readonly Annotation[]): Source[] {
  const sources = new Map<number, { title: string; places: Map<string, Source["places"][number]> }>();
  for (const { number, title, url, quote, by } of annotations) {
    const source = sources.get(number) ?? { title, places: new Map() };
    const known = source.places.get(url);
    source.places.set(url, { url, quote, matched: by === "match" && (known?.matched ?? true) });
    sources.set(number, source);
  }
  return [...sources]
    .sort(([one], [other]) => one - other)
    .map(([number, { title, places }]) => ({ number, title, places: [...places.values()] }));
}
