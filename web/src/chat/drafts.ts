/** What was typed and not sent, kept for as long as the tab lives, so that a reload loses no words. */
const name = (id: string | null) => `rixin.draft.${id ?? "new"}`;

export function readDraft(id: string | null): string {
  try {
    return sessionStorage.getItem(name(id)) ?? "";
  } catch {
    return ""; // storage is off in this browser
  }
}

export function writeDraft(id: string | null, text: string): void {
  try {
    if (text === "") sessionStorage.removeItem(name(id));
    else sessionStorage.setItem(name(id), text);
  } catch {
    // storage is off or full: the draft lives as long as the box
  }
}
