import type { Message } from "../src/api/types";

/** A message with what a test cares about, and the rest as plain as can be. */
export function message(given: Partial<Message> & { id: string }): Message {
  return {
    conversation_id: "c",
    parent_id: null,
    role: "user",
    content: given.id,
    status: "complete",
    error: null,
    model: null,
    version: null,
    finish_reason: null,
    usage: null,
    annotations: null,
    grounding: null,
    created_at: "2026-01-01T00:00:00Z",
    ...given,
  };
}
