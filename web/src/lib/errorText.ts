import { ApiError, Unreachable } from "../api/http";
import type { Texts } from "../i18n";

/** One sentence for a person: the page's own for the codes it knows, else what the server said. */
export function errorText(texts: Texts, error: unknown): string {
  if (error instanceof Unreachable) return texts.errors.unreachable;
  if (error instanceof ApiError) return codeText(texts, error.code, error.message);
  return texts.errors.unknown;
}

export function codeText(texts: Texts, code: string | null, message: string): string {
  return (code !== null && texts.errors.byCode[code]) || message || texts.errors.unknown;
}
