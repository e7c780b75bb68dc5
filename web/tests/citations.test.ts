import { createElement, type ReactNode } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it, vi } from "vitest";
import type { Annotation } from "../src/api/types";
import { cutMarks, sourcesOf, withMarks } from "../src/chat/citations";
import { Markdown } from "../src/markdown/Markdown";

vi.stubGlobal("navigator", { languages: ["en"] });

/** An annotation of the mark `[number]` that stands at `start` of an answer, in code points. */
function annotation(start: number, number: number, given: Partial<Annotation> = {}): Annotation {
  return {
    start,
    stop: start + `[${number}]`.length,
    number,
    by: "model",
    url: `/library/law/documents/d${number}#0-10`,
    title: `Law ${number}`,
    quote: "A sentence.",
    library: "law",
    document_id: `d${number}`,
    chunk_id: `c${number}`,
    metadata: {},
    ...given,
  };
}

/** Where the marks `[n]` of a text stand, in code points. */
function annotated(content: string): Annotation[] {
  return [...content.matchAll(/\[(\d)\]/g)].map((found) =>
    annotation([...content.slice(0, found.index)].length, Number(found[1])),
  );
}

const shown = (content: string, annotations = annotated(content)) =>
  renderToStaticMarkup(
    createElement(Markdown, {
      source: withMarks(content, annotations),
      growing: false,
      inText: (text: string): ReactNode =>
        cutMarks(text).map((part) =>
          typeof part === "number" ? createElement("sup", { key: part }, annotations[part]?.number) : part,
        ),
    }),
  );

describe("marks of citations", () => {
  it("stand where the annotations say, and nowhere else", () => {
    const content = "The array a[1] is not a mark. This is[2].";
    expect(shown(content, [annotation(content.indexOf("[2]"), 2)])).toContain(
      "a[1] is not a mark. This is<sup>2</sup>.",
    );
  });

  it("are found behind characters that JavaScript counts twice", () => {
    expect(shown("𠮷野家😀的规定[1]。又[2]。")).toContain("𠮷野家😀的规定<sup>1</sup>。又<sup>2</sup>。");
  });

  it("are marks in bold text, lists and tables, side by side and at the start of a line", () => {
    expect(shown("**“重点”**[1]是[2][3]")).toContain(
      "<strong>“重点”</strong><sup>1</sup>是<sup>2</sup><sup>3</sup>",
    );
    expect(shown("- one[1]\n- **two[2]**")).toContain("<strong>two<sup>2</sup></strong>");
    expect(shown("| a |\n|---|\n| x[1] |")).toContain("x<sup>1</sup></td>");
    expect(shown("[1]: a line that Markdown would take for a definition")).toContain("<sup>1</sup>: a line");
    expect(shown("see [1](https://example.com)")).toContain("<sup>1</sup>(");
  });

  it("can't be made by a text that writes the page's own characters", () => {
    expect(shown("\uE0000\uE001 and [\uE0000\uE001]", [])).not.toContain("<sup>");
  });

  it("that overlap or lie outside of the text break nothing", () => {
    const content = "One[1].";
    const odd = [annotation(3, 1), annotation(4, 2), annotation(99, 3)];
    expect(shown(content, odd)).toContain("One<sup>1</sup>.");
  });
});

describe("the sources of an answer", () => {
  it("are named once each, in the order of their numbers, with every place that was used", () => {
    const other = annotation(30, 1, { url: "/library/law/documents/d1#50-60", quote: "Another." });
    const sources = sourcesOf([annotation(20, 2), annotation(0, 1), annotation(10, 1), other]);
    expect(sources.map(({ number }) => number)).toEqual([1, 2]);
    expect(sources[0]?.places.map(({ quote }) => quote)).toEqual(["A sentence.", "Another."]);
  });

  it("say which of them the model did not name itself", () => {
    const [source] = sourcesOf([annotation(0, 1, { by: "match" })]);
    expect(source?.places[0]?.matched).toBe(true);
    const [both] = sourcesOf([annotation(0, 1, { by: "match" }), annotation(9, 1)]);
    expect(both?.places[0]?.matched).toBe(false);
  });
});
