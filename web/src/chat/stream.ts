import type { Done, Message, MessageStatus, Snapshot, TextDelta, ToolUse } from "../api/types";

/** What a reader sees of an answer that is being written. */
export interface Live {
  readonly content: string;
  readonly status: MessageStatus;
  /** The calls of tools so far, each as it is now. */
  readonly tools: readonly ToolUse[];
  readonly connection: "connecting" | "open" | "lost";
  /** The saved message, once the server says that it is done. */
  readonly message: Message | null;
}

/** What can happen to it. A snapshot replaces everything, so that a second connection needs nothing of the first. */
export type LiveEvent =
  | {
      readonly type: "snapshot";
      readonly content: string;
      readonly status: MessageStatus;
      readonly tools: readonly ToolUse[];
    }
  | { readonly type: "tool"; readonly use: ToolUse }
  | { readonly type: "delta"; readonly text: string }
  | { readonly type: "done"; readonly message: Message }
  | { readonly type: "lost" };

export function begin(message: Message): Live {
  return {
    content: message.content,
    status: message.status,
    tools: [],
    connection: "connecting",
    message: null,
  };
}

export function reduce(live: Live, event: LiveEvent): Live {
  if (live.message !== null) return live; // nothing follows the end
  switch (event.type) {
    case "snapshot":
      return {
        ...live,
        content: event.content,
        status: event.status,
        tools: event.tools,
        connection: "open",
      };
    case "tool":
      return { ...live, tools: withUse(live.tools, event.use), connection: "open" };
    case "delta":
      return { ...live, content: live.content + event.text, connection: "open" };
    case "done":
      return {
        ...live,
        content: event.message.content,
        status: event.message.status,
        connection: "open",
        message: event.message,
      };
    case "lost":
      return { ...live, connection: "lost" };
  }
}

/** A call that has gone on takes its own place, a new one the last. */
function withUse(uses: readonly ToolUse[], use: ToolUse): readonly ToolUse[] {
  if (!uses.some(({ id }) => id === use.id)) return [...uses, use];
  return uses.map((known) => (known.id === use.id ? use : known));
}

/** The LiveEvent in a server-sent event, or null where this page does not know it. */
export function decode(event: string, data: string): LiveEvent | null {
  switch (event) {
    case "snapshot": {
      const { content, status, tools } = JSON.parse(data) as Snapshot;
      return { type: "snapshot", content, status, tools };
    }
    case "delta":
      return { type: "delta", text: (JSON.parse(data) as TextDelta).text };
    case "tool":
      return { type: "tool", use: JSON.parse(data) as ToolUse };
    case "done":
      return { type: "done", message: (JSON.parse(data) as Done).message };
    default:
      return null;
  }
}
