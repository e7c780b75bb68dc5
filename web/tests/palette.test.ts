import { describe, expect, it } from "vitest";
import { dark, light, type Palette } from "../src/look/palette";

/** Contrast ratio. Source: WCAG 2.2, "contrast ratio" and "relative luminance". */
function contrast(first: string, second: string): number {
  const luminance = (colour: string) => {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
      const channel = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
      return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [dim = 0, bright = 0] = [luminance(first), luminance(second)].sort((one, other) => one - other);
  return (bright + 0.05) / (dim + 0.05);
}

const PAIRS: [keyof Palette, (keyof Palette)[]][] = [
  ["text", ["ground", "side", "raised", "sunken", "hover", "mist", "marked"]],
  ["quiet", ["ground", "side", "raised", "sunken", "hover", "mist"]],
  ["pine", ["ground", "raised", "mist"]],
  ["onPine", ["pine", "pineHover"]],
  ["danger", ["ground", "raised", "dangerGround"]],
  ["codeKeyword", ["sunken"]],
  ["codeString", ["sunken"]],
  ["codeNumber", ["sunken"]],
  ["codeName", ["sunken"]],
  ["codeComment", ["sunken"]],
];

describe.each([
  ["light", light],
  ["dark", dark],
])("the %s palette", (_, palette) => {
  it.each(PAIRS)("has %s readable on %s", (text, grounds) => {
    for (const ground of grounds)
      expect(contrast(palette[text], palette[ground])).toBeGreaterThanOrEqual(4.5);
  });
});
