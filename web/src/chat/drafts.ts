/** What was typed and not sent, kept for as long as the tab lives, so that a reload loses no words. */
const name = (user: string, id: string | null) => `rixin.draft.${user}.${id ?? "new"}`;

export function readDraft(user: string, id: string | null): string {
  try {
    return sessionStorage.getItem(name(user, id)) ?? "";
  } catch {
    return ""; // storage is off in this browser
  }
}

export function writeDraft(user: string, id: string | null, text: string): void {
  try {
    if (text === "") sessionStorage.removeItem(name(user, id));
    else sessionStorage.setItem(name(user, id), text);
  } catch {
    // storage is off or full: the draft lives as long as the box
  }
}
