import { describe, expect, it } from "vitest";
import { browserLanguage } from "../src/i18n";

describe("the language at first", () => {
  it("is the first of the browser's that the page speaks", () => {
    expect(browserLanguage(["zh-TW", "en"])).toBe("zh");
    expect(browserLanguage(["fr-FR", "zh-CN", "en"])).toBe("zh");
    expect(browserLanguage(["de", "fr"])).toBe("en");
    expect(browserLanguage([])).toBe("en");
  });
});
