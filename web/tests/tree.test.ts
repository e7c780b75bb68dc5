import { describe, expect, it } from "vitest";
import type { Message } from "../src/api/types";
import { type Choices, choose, visiblePath } from "../src/chat/tree";
import { message } from "./messages";

const NONE: Choices = new Map();
const ids = (messages: Message[], choices: Choices = NONE) =>
  visiblePath(messages, choices).map((step) => step.message.id);

/** u1 → a1 → u2 → a2, then a1 written again (a1b), then u1 edited (u1b → a3). */
const tree = [
  message({ id: "u1" }),
  message({ id: "a1", parent_id: "u1", role: "assistant" }),
  message({ id: "u2", parent_id: "a1" }),
  message({ id: "a2", parent_id: "u2", role: "assistant" }),
  message({ id: "a1b", parent_id: "u1", role: "assistant" }),
  message({ id: "u1b" }),
  message({ id: "a3", parent_id: "u1b", role: "assistant" }),
];

describe("the visible path", () => {
  it("leads to the newest message where nothing was chosen", () => {
    expect(ids(tree)).toEqual(["u1b", "a3"]);
    expect(ids(tree.slice(0, 5))).toEqual(["u1", "a1b"]);
    // A message sent on an older branch is the newest, and so its branch is shown.
    const later = [...tree, message({ id: "u3", parent_id: "a2" })];
    expect(ids(later)).toEqual(["u1", "a1", "u2", "a2", "u3"]);
  });

  it("follows the reader's choices, and below them the newest message", () => {
    const first = choose(NONE, null, "u1");
    expect(ids(tree, first)).toEqual(["u1", "a1b"]);
    expect(ids(tree, choose(first, "u1", "a1"))).toEqual(["u1", "a1", "u2", "a2"]);
  });

  it("counts the siblings of each step", () => {
    const steps = visiblePath(tree, choose(NONE, null, "u1"));
    expect(steps.map(({ siblings, position }) => [siblings, position])).toEqual([
      [["u1", "u1b"], 0],
      [["a1", "a1b"], 1],
    ]);
  });

  it("forgets a choice of a message that is gone", () => {
    expect(ids(tree, choose(NONE, null, "deleted"))).toEqual(["u1b", "a3"]);
  });

  it("does not show a system message, but what follows it", () => {
    const messages = [
      message({ id: "s", role: "system" }),
      message({ id: "u", parent_id: "s" }),
      message({ id: "a", parent_id: "u", role: "assistant" }),
    ];
    expect(ids(messages)).toEqual(["u", "a"]);
  });

  it("shows messages whose parent is missing, and ends even on a circle", () => {
    expect(ids([message({ id: "lost", parent_id: "gone" })])).toEqual(["lost"]);
    const circle = [message({ id: "x", parent_id: "y" }), message({ id: "y", parent_id: "x" })];
    expect(ids(circle)).toEqual([]);
  });

  it("is empty for an empty conversation", () => {
    expect(ids([])).toEqual([]);
  });
});
