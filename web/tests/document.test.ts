import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it, vi } from "vitest";
import type { DocumentBlock } from "../src/api/types";
import { readAddress } from "../src/library/DocumentDrawer";
import { DocumentText } from "../src/library/DocumentText";
import { matches } from "../src/library/matches";
import { type Place, pieces, placeOf, tableRows } from "../src/library/pieces";

vi.stubGlobal("navigator", { languages: ["en"] });

const block = (given: Partial<DocumentBlock>): DocumentBlock => ({
  kind: "paragraph",
  text: "",
  start: 0,
  level: 0,
  page: null,
  ...given,
});
const shown = (blocks: DocumentBlock[], place: Place | null = null) =>
  renderToStaticMarkup(createElement(DocumentText, { blocks, place })).replaceAll(/ class="[^"]*"/g, "");

describe("a place in a document", () => {
  it("is marked from its first to its last code point", () => {
    expect(pieces("one two three", 100, { start: 104, stop: 107 })).toEqual([
      { text: "one ", marked: false },
      { text: "two", marked: true },
      { text: " three", marked: false },
    ]);
    expect(pieces("𠮷😀abc", 0, { start: 1, stop: 3 })).toEqual([
      { text: "𠮷", marked: false },
      { text: "😀a", marked: true },
      { text: "bc", marked: false },
    ]);
  });

  it("reaches over several blocks, and leaves the others alone", () => {
    const blocks = [
      block({ text: "before", start: 0 }),
      block({ text: "first part", start: 8 }),
      block({ text: "second part", start: 20 }),
      block({ text: "after", start: 33 }),
    ];
    expect(shown(blocks, { start: 14, stop: 26 })).toBe(
      "<p>before</p><p>first <mark>part</mark></p><p><mark>second</mark> part</p><p>after</p>",
    );
  });

  it("is marked in the cells of a table, by rows", () => {
    const text = "| Item | Days |\n|---|---|\n| Leave | 15 |\n| Notice | 30 |";
    const start = text.indexOf("| Leave");
    const table = shown([block({ kind: "table", text, start: 50 })], {
      start: 50 + start,
      stop: 50 + start + "| Leave | 15 |".length,
    });
    expect(table).toContain("<td><mark>Leave</mark></td><td><mark>15</mark></td>");
    expect(table).toContain("<td>Notice</td><td>30</td>");
    expect(table).toContain("<th>Item</th>");
  });

  it("is read from an address, and from nothing else", () => {
    expect(placeOf("#12-34")).toEqual({ start: 12, stop: 34 });
    for (const odd of ["", "#", "#12", "#34-12", "#a-b", "#1-2<script>", "#-1-5"])
      expect(placeOf(odd)).toBeNull();
    expect(readAddress("/library/law/documents/d_1#5-9")).toEqual({
      library: "law",
      id: "d_1",
      place: { start: 5, stop: 9 },
    });
    for (const odd of ["https://evil.example/library/a/documents/b", "/library/a", "/library/%/documents/b"])
      expect(readAddress(odd)).toBeNull();
  });
});

describe("a document's text", () => {
  it("is only ever text", () => {
    const evil = "<img src=x onerror=alert(1)><script>alert(2)</script> [x](javascript:alert(3))";
    for (const kind of ["heading", "paragraph", "list", "code", "table"] as const) {
      const html = shown([block({ kind, text: kind === "table" ? `| ${evil} |` : evil, level: 1 })], {
        start: 3,
        stop: 40,
      });
      expect(html).not.toMatch(/<img|<script|<a /);
      expect(html).toContain("&lt;script&gt;");
    }
  });

  it("has its own headings below the page's, and says where pages begin", () => {
    const html = shown([
      block({ kind: "heading", text: "Top", level: 1, page: 1 }),
      block({ kind: "heading", text: "Below", level: 2, start: 5, page: 1 }),
      block({ text: "On the next", start: 12, page: 2 }),
    ]);
    expect(html).toBe("<p>Page 1</p><h2>Top</h2><h3>Below</h3><p>Page 2</p><p>On the next</p>");
  });

  it("has tables with escaped bars, empty cells and no bars at the ends", () => {
    expect(
      tableRows("| a | b |\n|:--|--:|\n| x \\| y |  |").map((row) => row.map(({ text }) => text)),
    ).toEqual([
      ["a", "b"],
      ["x \\| y", ""],
    ]);
    expect(tableRows("a | b\n--- | ---\n1 | 2").map((row) => row.map(({ text }) => text))).toEqual([
      ["a", "b"],
      ["1", "2"],
    ]);
  });
});

describe("what was asked", () => {
  const marked = (text: string, question: string) =>
    matches(text, question)
      .filter((part) => part.marked)
      .map((part) => part.text);

  it("is marked in what was found, in any case and without its neighbours", () => {
    expect(marked("The Employer shall pay. Unemployer.", "employer pay")).toEqual(["Employer", "pay"]);
    expect(marked("劳动者有权解除劳动合同。", "解除合同")).toEqual(["解除", "合同"]);
  });

  it("changes no text, whatever was asked", () => {
    for (const question of ["", "(", "İ ſ ß", "a", "<b>", "劳动"]) {
      const text = "İstanbul <b>劳动</b> 😀 ß";
      expect(
        matches(text, question)
          .map((part) => part.text)
          .join(""),
      ).toBe(text);
    }
  });
});
