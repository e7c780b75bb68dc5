const SCHEMES = new Set(["http:", "https:", "mailto:", "tel:"]);

/** The address if a person may be sent there: absolute, and of a scheme that runs nothing. */
export function safeAddress(address: string): string | null {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  return SCHEMES.has(url.protocol) ? url.href : null;
}

/** Where a bare link in Chinese text really ends: at the first full-width mark, which GFM would take along. */
export function splitBareLink(text: string): [link: string, rest: string] {
  const end = text.search(/[\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65“”‘’…—]/);
  return end < 0 ? [text, ""] : [text.slice(0, end), text.slice(end)];
}
