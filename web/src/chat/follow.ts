import { ApiError, apiError, send } from "../api/http";
import { EventParser } from "../api/sse";
import { decode, type LiveEvent } from "./stream";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
/** The server says something at least every 15 s; a connection silent for longer than this is dead. */
const SILENCE_MS = 45_000;

/**
 * Follow an answer to its end, through any number of broken connections.
 *
 * `onEvent` gets everything in order. Returns when the answer is done or `signal` is aborted.
 * Raises ApiError if the server refuses (the conversation was deleted, the session ended).
 */
export async function follow(
  url: string,
  signal: AbortSignal,
  onEvent: (event: LiveEvent) => void,
): Promise<void> {
  let wait = FIRST_WAIT_MS;
  while (!signal.aborted) {
    try {
      const done = await readOnce(url, signal, (event) => {
        wait = FIRST_WAIT_MS;
        onEvent(event);
      });
      if (done) return;
    } catch (error) {
      if (error instanceof ApiError) throw error;
    }
    if (signal.aborted) return;
    onEvent({ type: "lost" });
    await pause(wait, signal);
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }
}

/** One connection; whether the answer's end came through it. */
async function readOnce(
  url: string,
  signal: AbortSignal,
  onEvent: (event: LiveEvent) => void,
): Promise<boolean> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const response = await send(
      new Request(url, {
        signal: AbortSignal.any([signal, silence.signal]),
        headers: { accept: "text/event-stream" },
        cache: "no-store",
      }),
    );
    if (!response.ok || response.body === null) {
      throw apiError(response.status, await response.json().catch(() => null));
    }
    const parser = new EventParser();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return false;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      for (const { event, data } of parser.push(value)) {
        const decoded = decode(event, data);
        if (decoded === null) continue;
        onEvent(decoded);
        if (decoded.type === "done") return true;
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      window.removeEventListener("online", finish);
      resolve();
    };
    const timer = setTimeout(finish, milliseconds);
    signal.addEventListener("abort", finish);
    window.addEventListener("online", finish);
  });
}
