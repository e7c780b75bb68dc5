import { reportReachable, reportUnreachable } from "./connection";

/** The server answered with an error object `{"error": {message, type, param, code}}`. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string | null,
    message: string,
  ) {
    super(message);
  }
}

/** No answer came at all: the network or the server is gone. */
export class Unreachable extends Error {}

let refused: () => void = () => undefined;

/** Have `listener` called when the server says that this session, or its token, is not valid (any more). */
export function onRefusal(listener: () => void): void {
  refused = listener;
}

let csrf: string | null = null;

/** The token that every request that changes something carries; it comes with the session. */
export function setCsrf(token: string | null): void {
  csrf = token;
}

export function csrfToken(): string | null {
  return csrf;
}

/** A `fetch` that carries the CSRF token and tells the page whether the server can be reached. */
export async function send(request: Request): Promise<Response> {
  if (request.method !== "GET" && csrf !== null) request.headers.set("X-CSRF-Token", csrf);
  let response: Response;
  try {
    response = await fetch(request);
  } catch (error) {
    if (request.signal.aborted) throw error;
    reportUnreachable();
    throw new Unreachable();
  }
  // A proxy in front of a server that is down answers in its place, and not in JSON.
  if ([502, 503, 504].includes(response.status) && !isJson(response)) {
    reportUnreachable();
    throw new Unreachable();
  }
  reportReachable();
  if (response.status === 401 || response.status === 403) refused();
  return response;
}

function isJson(response: Response): boolean {
  return response.headers.get("content-type")?.includes("json") ?? false;
}

/** The ApiError that a body or a failed response describes. */
export function apiError(status: number, body: unknown): ApiError {
  if (typeof body === "object" && body !== null && "error" in body) {
    const { error } = body as { error: { message?: unknown; code?: unknown } };
    const code = typeof error.code === "string" ? error.code : null;
    return new ApiError(status, code, typeof error.message === "string" ? error.message : `HTTP ${status}`);
  }
  return new ApiError(status, null, `HTTP ${status}`);
}
