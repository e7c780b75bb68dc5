import { describe, expect, it } from "vitest";
import { begin, decode, type LiveEvent, reduce } from "../src/chat/stream";
import { message } from "./messages";

const answer = message({ id: "a", role: "assistant", content: "", status: "generating" });
const play = (...events: LiveEvent[]) => events.reduce(reduce, begin(answer));

describe("an answer being written", () => {
  it("grows by deltas after its snapshot", () => {
    const live = play(
      { type: "snapshot", content: "日", status: "generating", tools: [] },
      { type: "delta", text: "新" },
      { type: "delta", text: "月异" },
    );
    expect(live).toMatchObject({
      content: "日新月异",
      status: "generating",
      connection: "open",
      message: null,
    });
  });

  it("keeps its text while the connection is lost, and takes the next snapshot as the whole truth", () => {
    const lost = play(
      { type: "snapshot", content: "", status: "generating", tools: [] },
      { type: "delta", text: "half" },
      { type: "lost" },
    );
    expect(lost).toMatchObject({ content: "half", connection: "lost" });
    const back = reduce(lost, {
      type: "snapshot",
      content: "half and more",
      status: "generating",
      tools: [],
    });
    expect(back).toMatchObject({ content: "half and more", connection: "open" });
  });

  it("ends with the saved message, and nothing follows that", () => {
    const saved = message({ id: "a", role: "assistant", content: "whole", status: "complete" });
    const done = play({ type: "delta", text: "who" }, { type: "done", message: saved });
    expect(done).toMatchObject({ content: "whole", status: "complete", message: saved });
    expect(reduce(done, { type: "delta", text: "!" })).toBe(done);
    expect(reduce(done, { type: "lost" })).toBe(done);
  });

  it("shows a failure with what was written before it", () => {
    const saved = message({
      id: "a",
      role: "assistant",
      content: "half",
      status: "failed",
      error: { message: "It died.", code: "engine_died" },
    });
    expect(play({ type: "done", message: saved })).toMatchObject({ content: "half", status: "failed" });
  });
});

describe("decoding events", () => {
  it("knows snapshot, delta and done", () => {
    expect(decode("snapshot", '{"content":"x","status":"generating","tools":[]}')).toEqual({
      type: "snapshot",
      content: "x",
      status: "generating",
      tools: [],
    });
    expect(decode("delta", '{"text":"y"}')).toEqual({ type: "delta", text: "y" });
    expect(decode("done", JSON.stringify({ message: answer }))).toEqual({ type: "done", message: answer });
  });

  it("shows each call of a tool once, as it is now", () => {
    const asking = {
      id: "c",
      tool: "hire",
      arguments: "{}",
      outcome: "asking",
      milliseconds: 0,
      text: "",
    } as const;
    const ended = { ...asking, outcome: "ok", milliseconds: 5, text: "done" } as const;
    expect(decode("tool", JSON.stringify(asking))).toEqual({ type: "tool", use: asking });
    const live = play(
      { type: "snapshot", content: "", status: "generating", tools: [{ ...asking, id: "b" }] },
      { type: "tool", use: asking },
      { type: "tool", use: ended },
    );
    expect(live.tools).toEqual([{ ...asking, id: "b" }, ended]);
  });

  it("passes over events of a newer server", () => {
    expect(decode("citation", "{}")).toBeNull();
  });
});
