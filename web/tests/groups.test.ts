import { describe, expect, it } from "vitest";
import { ageOf, groupByAge } from "../src/chat/groups";

const now = new Date(2026, 2, 15, 9, 30);

describe("ages of conversations", () => {
  it("goes by the reader's own days", () => {
    expect(ageOf(new Date(2026, 2, 15, 0, 0), now)).toBe("today");
    expect(ageOf(new Date(2026, 2, 14, 23, 59), now)).toBe("yesterday");
    expect(ageOf(new Date(2026, 2, 13, 23, 59), now)).toBe("week");
    expect(ageOf(new Date(2026, 1, 20), now)).toBe("month");
    expect(ageOf(new Date(2025, 1, 20), now)).toBe("older");
  });

  it("calls a time from a clock that is ahead today", () => {
    expect(ageOf(new Date(2026, 2, 16), now)).toBe("today");
  });

  it("keeps the order within a group", () => {
    const one = (id: string, time: Date) => ({
      id,
      title: id,
      model: null,
      created_at: time.toISOString(),
      updated_at: time.toISOString(),
    });
    const groups = groupByAge(
      [
        one("b", new Date(2026, 2, 15, 9)),
        one("a", new Date(2026, 2, 15, 8)),
        one("c", new Date(2024, 0, 1)),
      ],
      now,
    );
    expect(groups.map(({ age, conversations }) => [age, conversations.map(({ id }) => id)])).toEqual([
      ["today", ["b", "a"]],
      ["older", ["c"]],
    ]);
  });
});
