import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Library } from "../src/api/types";
import { LibraryAbout } from "../src/library/LibraryAbout";
import { LibraryTuned } from "../src/library/LibraryTuned";

const PLAIN: Library = {
  name: "law",
  title: "Law",
  documents: 2,
  chunks: 40,
  waiting: 0,
  failed: 0,
  problem: null,
  everyone: true,
  readers: [],
  may_change: false,
  tuning: null,
  reranker: null,
  created_at: "2026-01-01T00:00:00Z",
  read_at: null,
};
const TUNED: Library = {
  ...PLAIN,
  tuning: {
    learned_from: 60,
    held_out: 30,
    mrr_before: 0.41,
    mrr_after: 0.52,
    hit5_before: 0.5,
    hit5_after: 0.634,
  },
  reranker: "bge-reranker-base",
};
const speak = (language: string) => vi.stubGlobal("navigator", { languages: [language] });
const shown = (part: typeof LibraryAbout | typeof LibraryTuned, library: Library) =>
  renderToStaticMarkup(createElement(part, { library }));

afterEach(() => vi.unstubAllGlobals());

describe("how a Library is searched", () => {
  it("is said where it was tuned and has a reranker", () => {
    speak("en");
    expect(shown(LibraryAbout, TUNED)).toContain("tuned by 60 questions");
    expect(shown(LibraryAbout, TUNED)).toContain("first hits put in order by bge-reranker-base");
    expect(shown(LibraryTuned, TUNED)).toContain(
      "Of 30 other questions 63% find a right passage among the first five, 50% before it was tuned.",
    );
  });

  it("is said in Chinese too", () => {
    speak("zh-CN");
    expect(shown(LibraryAbout, TUNED)).toContain("已用 60 个问题调优");
    expect(shown(LibraryAbout, TUNED)).toContain("前列结果由 bge-reranker-base 重新排序");
    expect(shown(LibraryTuned, TUNED)).toContain(
      "另外 30 个问题中，前五条里有正确段落的占 63%，调优前为 50%。",
    );
  });

  it("is not mentioned where it was neither", () => {
    speak("en");
    expect(shown(LibraryAbout, PLAIN)).not.toMatch(/tuned|in order/);
    expect(shown(LibraryTuned, PLAIN)).toBe("");
  });
});
