import { describe, expect, it } from "vitest";
import { keepFinished } from "../src/api/queries";
import { message } from "./messages";

describe("a conversation that is fetched while an answer ends", () => {
  const conversation = (...messages: ReturnType<typeof message>[]) => ({
    id: "c",
    title: "",
    model: null,
    created_at: "2026-01-01T00:00:00Z",
    updated_at: "2026-01-01T00:00:00Z",
    messages,
  });
  const writing = message({ id: "a", role: "assistant", content: "ha", status: "generating" });
  const whole = message({ id: "a", role: "assistant", content: "half and more", status: "complete" });

  it("leaves the answer finished", () => {
    expect(keepFinished(conversation(whole), conversation(writing)).messages).toEqual([whole]);
  });

  it("takes everything else as the server says it", () => {
    expect(keepFinished(undefined, conversation(writing)).messages).toEqual([writing]);
    expect(keepFinished(conversation(writing), conversation(whole)).messages).toEqual([whole]);
    const other = message({ id: "b", role: "assistant", content: "", status: "generating" });
    expect(keepFinished(conversation(whole), conversation(whole, other)).messages).toEqual([whole, other]);
    expect(keepFinished(conversation(whole, other), conversation(whole)).messages).toEqual([whole]);
  });
});
