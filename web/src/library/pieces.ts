import { unitAt } from "../lib/points";

/** A place in a document's text, in code points. */
export interface Place {
  readonly start: number;
  readonly stop: number;
}

/** A part of a text, and whether it belongs to the place that is shown. */
export interface Piece {
  readonly text: string;
  readonly marked: boolean;
}

/** The place in an address's fragment (`#120-180`), or null where it names none. */
export function placeOf(fragment: string): Place | null {
  const found = /^#?(\d{1,12})-(\d{1,12})$/.exec(fragment);
  if (found === null) return null;
  const [start, stop] = [Number(found[1]), Number(found[2])];
  return start < stop ? { start, stop } : null;
}

/** A text that begins at `start` of its document, cut where the place begins and ends in it. */
export function pieces(text: string, start: number, place: Place | null): Piece[] {
  if (place === null || place.stop <= start || text === "") return [{ text, marked: false }];
  const from = unitAt(text, Math.max(0, place.start - start));
  const to = unitAt(text, place.stop - start);
  return [
    { text: text.slice(0, from), marked: false },
    { text: text.slice(from, to), marked: true },
    { text: text.slice(to), marked: false },
  ].filter((piece) => piece.text !== "");
}

/** A cell of a table: its words, and where they begin in the table's text, in UTF-16 units. */
export interface Cell {
  readonly text: string;
  readonly at: number;
}

/**
 * The rows of a Markdown table, the head first; the line of dashes below it is left out.
 *
 * Every cell remembers where it stood, so that a place in the document can be shown in it.
 */
export function tableRows(source: string): Cell[][] {
  const rows: Cell[][] = [];
  let at = 0;
  for (const line of source.split("\n")) {
    if (!/^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(line)) {
      const row = cellsOf(line, at);
      if (row.length > 0) rows.push(row);
    }
    at += line.length + 1;
  }
  return rows;
}

function cellsOf(line: string, at: number): Cell[] {
  const begin = /^\s*\|?/.exec(line)?.[0].length ?? 0;
  const end = line.length - (/(?<!\\)\|\s*$/.exec(line)?.[0].length ?? 0);
  if (line.slice(begin, end).trim() === "" && begin === 0) return [];
  const cells: Cell[] = [];
  let from = begin;
  for (let index = begin; index <= Math.max(end, begin); index++) {
    if (line[index] === "\\") index++;
    else if (index >= end || line[index] === "|") {
      const raw = line.slice(from, index);
      cells.push({ text: raw.trim(), at: at + from + (raw.length - raw.trimStart().length) });
      from = index + 1;
    }
  }
  return cells;
}
