import { describe, expect, it } from "vitest";
import { axisOf, placeOn } from "../src/cycles/axis";
import { durationText } from "../src/cycles/duration";
import { en } from "../src/i18n/en";
import { zh } from "../src/i18n/zh";

const change = (difference: number, low: number | null = null, high: number | null = null) => ({
  difference,
  low,
  high,
});

describe("the axis of changes", () => {
  it("holds every interval, and no change", () => {
    const axis = axisOf([change(0.4, 0.3, 0.5), change(-0.01, -0.03, 0.01), change(0.2)]);
    expect(axis).toEqual({ least: -0.03, most: 0.5 });
    expect(placeOn(axis, -0.03)).toBe(0);
    expect(placeOn(axis, 0.5)).toBe(1);
    expect(axisOf([change(0.4, 0.3, 0.5)])).toEqual({ least: 0, most: 0.5 });
  });

  it("has no change in its middle where nothing changed", () => {
    expect(placeOn(axisOf([change(0, 0, 0)]), 0)).toBe(0.5);
  });
});

describe("a duration", () => {
  const number = (value: number, digits = 0) => value.toFixed(digits);
  it.each([
    [0.34, "0.3 s", "0.3 秒"],
    [59.6, "60 s", "60 秒"],
    [125, "2 min", "2 分钟"],
    [3599, "60 min", "60 分钟"],
    [5400, "1 h 30 min", "1 小时 30 分钟"],
    [7199, "2 h 0 min", "2 小时 0 分钟"],
  ])("of %d seconds is %s", (seconds, english, chinese) => {
    expect(durationText(seconds, en, number)).toBe(english);
    expect(durationText(seconds, zh, number)).toBe(chinese);
  });
});
