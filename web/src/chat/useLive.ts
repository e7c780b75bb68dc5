import { useEffect, useReducer, useRef } from "react";
import type { Message } from "../api/types";
import { follow } from "./follow";
import { begin, type Live, type LiveEvent, reduce } from "./stream";

/**
 * The live state of an answer: what the server has written of it so far while it is being written, and null for one
 * that is finished. `onDone` gets the saved message; `onRefused` is called when the server no longer knows it.
 */
export function useLive(
  message: Message,
  onDone: (message: Message) => void,
  onRefused: (error: unknown) => void,
): Live | null {
  const [live, dispatch] = useReducer(
    (state: Live, events: readonly LiveEvent[]) => events.reduce(reduce, state),
    message,
    begin,
  );
  const handlers = useRef({ onDone, onRefused });
  handlers.current = { onDone, onRefused };
  const generating = message.status === "generating";
  const url = `/api/conversations/${message.conversation_id}/messages/${message.id}/stream`;

  useEffect(() => {
    if (!generating) return;
    const controller = new AbortController();
    let waiting: LiveEvent[] = [];
    let frame = 0;
    const flush = () => {
      frame = 0;
      const events = waiting;
      waiting = [];
      dispatch(events);
    };
    follow(url, controller.signal, (event) => {
      // A hundred tokens a second are not a hundred renders: everything that came within a frame is shown at once.
      waiting.push(event);
      if (event.type === "done") {
        handlers.current.onDone(event.message);
      }
      // A hidden window paints no frames; it catches up when it is shown.
      if (frame === 0) frame = requestAnimationFrame(flush);
    }).catch((error: unknown) => handlers.current.onRefused(error));
    return () => {
      controller.abort();
      cancelAnimationFrame(frame);
    };
  }, [generating, url]);

  return generating ? live : null;
}
