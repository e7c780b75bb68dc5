import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it, vi } from "vitest";
import { safeAddress, splitBareLink } from "../src/markdown/links";
import { Markdown } from "../src/markdown/Markdown";
import { type Parsed, parseGrowing } from "../src/markdown/parse";

// Tests run in Node, which has no window; the language is all that is asked of it.
vi.stubGlobal("navigator", { languages: ["en"] });

const html = (source: string) => renderToStaticMarkup(createElement(Markdown, { source, growing: false }));

describe("Markdown", () => {
  it("shows raw HTML as text", () => {
    const shown = html(
      '<script>alert(1)</script>\n\n<img src=x onerror=alert(1)> and <b onclick="x">bold</b>',
    );
    expect(shown).not.toMatch(/<script|<img|<b /);
    expect(shown).toContain("&lt;script&gt;");
    expect(shown).toContain("&lt;img src=x");
  });

  it("makes no link that could run or load something", () => {
    for (const url of [
      "javascript:alert(1)",
      "JaVaScRiPt:x",
      "data:text/html,x",
      "vbscript:x",
      "/api/keys",
      "//evil.example",
    ]) {
      expect(html(`[click](${url})`)).not.toContain("href");
    }
    expect(html("[click](<java\tscript:alert(1)>)")).not.toContain("href");
  });

  it("never fetches a picture, but says where it is", () => {
    const shown = html("![a cat](https://evil.example/track.png)");
    expect(shown).not.toContain("<img");
    expect(shown).toContain("a cat");
    expect(shown).toContain('href="https://evil.example/track.png"');
  });

  it("opens links in a window that knows nothing of this one", () => {
    expect(html("[x](https://example.com)")).toContain('rel="noopener noreferrer nofollow"');
  });

  it("resolves a link defined further down", () => {
    expect(html("see [the book][1]\n\n[1]: https://example.com/book")).toContain("https://example.com/book");
  });

  it("makes Chinese quoted words bold, as models write them", () => {
    expect(html("这是**“重点”**吗")).toContain("<strong>“重点”</strong>");
    expect(html("**注意：**请保存")).toContain("<strong>注意：</strong>");
  });

  it("ends a bare link at a full-width mark", () => {
    const shown = html("见https://example.com/a，谢谢");
    expect(shown).toContain('href="https://example.com/a"');
    expect(shown).toContain("</a>，谢谢");
  });

  it("shows tables, task lists and line breaks in cells", () => {
    const shown = html("| a | b |\n|:-|-:|\n| 1<br>2 | 3 |\n\n- [x] done\n- [ ] open");
    expect(shown).toContain('<td style="text-align:left">1<br/>2</td>');
    expect(shown.match(/type="checkbox"/g)).toHaveLength(2);
  });

  it("keeps what is in a code block as it is", () => {
    expect(html("```html\n<script>&amp;\n```")).toContain("&lt;script&gt;&amp;amp;");
  });
});

describe("a growing text", () => {
  const text =
    "# Title\n\nSome *words*.\n\n- one\n- two\n\n  more of two\n- three\n\n```python\nprint(1)\n\nprint(2)\n```\n\n" +
    "    indented\n\n> quote\ngoes on\n\n| a | b |\n|-|-|\n| 1 | 2 |\n\n第一段\n第二行\n\nlast";

  it("ends as if it had been parsed at once, wherever it was cut", () => {
    const whole = parseGrowing(text).blocks;
    for (const step of [1, 3, 17]) {
      let parsed: Parsed | undefined;
      for (let end = 0; end < text.length + step; end += step)
        parsed = parseGrowing(text.slice(0, end), parsed);
      expect(parsed?.blocks.map(({ source }) => source)).toEqual(whole.map(({ source }) => source));
      expect(parsed?.blocks.map(({ node }) => node.type)).toEqual(whole.map(({ node }) => node.type));
    }
  });

  it("parses only the last block again", () => {
    const before = parseGrowing("one\n\ntwo\n\nthr");
    const after = parseGrowing("one\n\ntwo\n\nthree", before);
    expect(after.blocks[0]).toBe(before.blocks[0]);
    expect(after.blocks[1]).toBe(before.blocks[1]);
    expect(after.blocks[2]?.source).toBe("three");
  });

  it("starts anew when the text is another one", () => {
    const other = parseGrowing("zwei\n\ndrei", parseGrowing("one\n\ntwo"));
    expect(other.blocks.map(({ source }) => source)).toEqual(["zwei", "drei"]);
  });
});

describe("addresses", () => {
  it("lets web, mail and telephone through, nothing else", () => {
    expect(safeAddress("https://example.com/日新")).toContain("https://example.com/");
    expect(safeAddress("mailto:a@example.com")).toBe("mailto:a@example.com");
    for (const bad of [
      "javascript:x",
      " javascript:x",
      "data:,x",
      "file:///etc/passwd",
      "blob:x",
      "relative",
      "",
    ]) {
      expect(safeAddress(bad)).toBeNull();
    }
  });

  it("keeps Chinese words in an address, but not Chinese marks", () => {
    expect(splitBareLink("https://example.com/日新")).toEqual(["https://example.com/日新", ""]);
    expect(splitBareLink("https://example.com）。")).toEqual(["https://example.com", "）。"]);
  });
});
