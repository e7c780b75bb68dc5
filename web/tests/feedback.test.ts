import { describe, expect, it } from "vitest";
import { NOTHING_SAID } from "../src/api/feedback";
import type { Feedback } from "../src/api/types";
import { reasonsFor } from "../src/feedback/reasons";
import { pressed, saidOf, toggled } from "../src/feedback/useSaid";
import { en } from "../src/i18n/en";
import { zh } from "../src/i18n/zh";

const given: Feedback = {
  id: "f",
  kind: "answer",
  message_id: "m",
  other_message_id: null,
  conversation_id: "c",
  model: "chat",
  version_id: "v",
  rating: -1,
  reasons: ["wrong"],
  correction: "Better.",
  comment: null,
  preferred: null,
  question: "?",
  answer: "!",
  other_answer: null,
  person: null,
  created_at: "2026-01-01T00:00:00Z",
  updated_at: "2026-01-01T00:00:00Z",
};

describe("what one said about an answer", () => {
  it("is found by the answer, and a preference of the same answer is another thing", () => {
    const preference: Feedback = { ...given, id: "p", kind: "preference", rating: null, reasons: [] };
    expect(saidOf([preference, given], "m")).toEqual({
      rating: -1,
      reasons: ["wrong"],
      correction: "Better.",
      comment: "",
    });
    expect(saidOf([preference], "m")).toEqual(NOTHING_SAID);
    expect(saidOf(undefined, "m")).toEqual(NOTHING_SAID);
  });

  it("changes with a thumb: the reasons of the other one go, and pressed twice it is out", () => {
    const said = saidOf([given], "m");
    expect(pressed(said, 1)).toEqual({ rating: 1, reasons: [] });
    expect(pressed(said, -1)).toEqual({ rating: 0, reasons: [] });
  });

  it("takes a reason in and out", () => {
    expect(toggled(["wrong"], "too_long")).toEqual(["wrong", "too_long"]);
    expect(toggled(["wrong", "too_long"], "wrong")).toEqual(["too_long"]);
  });

  it("has words for every reason in both languages, none of them twice", () => {
    const reasons = [...reasonsFor(1), ...reasonsFor(-1)];
    for (const { feedback } of [en, zh]) {
      expect(Object.keys(feedback.reasons).toSorted()).toEqual(reasons.toSorted());
      expect(new Set(Object.values(feedback.reasons)).size).toBe(reasons.length);
    }
  });
});
