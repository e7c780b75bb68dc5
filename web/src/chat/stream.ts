import type { Done, Message, MessageStatus, Snapshot, TextDelta } from "../api/types";

/** What a reader sees of an answer that is being written. */
export interface Live {
  readonly content: string;
  readonly status: MessageStatus;
  readonly connection: "connecting" | "open" | "lost";
  /** The saved message, once the server says that it is done. */
  readonly message: Message | null;
}

/** What can happen to it. A snapshot replaces everything, so that a second connection needs nothing of the first. */
export type LiveEvent =
  | { readonly type: "snapshot"; readonly content: string; readonly status: MessageStatus }
  | { readonly type: "delta"; readonly text: string }
  | { readonly type: "done"; readonly message: Message }
  | { readonly type: "lost" };

export function begin(message: Message): Live {
  return { content: message.content, status: message.status, connection: "connecting", message: null };
}

export function reduce(live: Live, event: LiveEvent): Live {
  if (live.message !== null) return live; // nothing follows the end
  switch (event.type) {
    case "snapshot":
      return { ...live, content: event.content, status: event.status, connection: "open" };
    case "delta":
      return { ...live, content: live.content + event.text, connection: "open" };
    case "done":
      return {
        content: event.message.content,
        status: event.message.status,
        connection: "open",
        message: event.message,
      };
    case "lost":
      return { ...live, connection: "lost" };
  }
}

/** The LiveEvent in a server-sent event, or null where this page does not know it. */
export function decode(event: string, data: string): LiveEvent | null {
  switch (event) {
    case "snapshot": {
      const { content, status } = JSON.parse(data) as Snapshot;
      return { type: "snapshot", content, status };
    }
    case "delta":
      return { type: "delta", text: (JSON.parse(data) as TextDelta).text };
    case "done":
      return { type: "done", message: (JSON.parse(data) as Done).message };
    default:
      return null;
  }
}
