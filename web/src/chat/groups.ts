import type { Conversation } from "../api/types";

export type Age = "today" | "yesterday" | "week" | "month" | "older";

export interface Group {
  readonly age: Age;
  readonly conversations: readonly Conversation[];
}

const DAY_MS = 86_400_000;

/** How long ago something was, in the reader's own days. */
export function ageOf(time: Date, now: Date): Age {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const before = midnight - time.getTime();
  if (before <= 0) return "today";
  if (before <= DAY_MS) return "yesterday";
  if (before <= 7 * DAY_MS) return "week";
  return before <= 30 * DAY_MS ? "month" : "older";
}

/** Conversations by age, in the order they came. */
export function groupByAge(conversations: readonly Conversation[], now: Date): Group[] {
  const groups: { age: Age; conversations: Conversation[] }[] = [];
  for (const conversation of conversations) {
    const age = ageOf(new Date(conversation.updated_at), now);
    const group = groups.find((one) => one.age === age);
    if (group) group.conversations.push(conversation);
    else groups.push({ age, conversations: [conversation] });
  }
  return groups;
}
