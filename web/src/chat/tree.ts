import type { Message } from "../api/types";

/** One message on the way that is shown, with its siblings: other answers to, or other wordings of, the same thing. */
export interface Step {
  readonly message: Message;
  readonly siblings: readonly string[];
  readonly position: number;
}

/** Which child is shown below a message (`""` is the root), where the reader chose one. */
export type Choices = ReadonlyMap<string, string>;

const ROOT = "";

/**
 * The way through the tree of messages that the reader sees, from the first message to a leaf.
 *
 * Where nothing was chosen it leads to the newest message. `messages` are in the order they were made; one whose
 * parent is missing counts as a first message, so that nothing is ever hidden for good.
 */
export function visiblePath(messages: readonly Message[], choices: Choices): Step[] {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const parentOf = (message: Message): string => {
    let parent = message.parent_id === null ? undefined : byId.get(message.parent_id);
    for (let hops = 0; parent?.role === "system" && hops < messages.length; hops++) {
      parent = parent.parent_id === null ? undefined : byId.get(parent.parent_id);
    }
    return parent?.id ?? ROOT;
  };
  const shown = messages.filter((message) => message.role !== "system");
  const children = new Map<string, string[]>();
  for (const message of shown) {
    const siblings = children.get(parentOf(message));
    if (siblings) siblings.push(message.id);
    else children.set(parentOf(message), [message.id]);
  }
  const newestBelow = new Map<string, string>();
  for (const newest of shown.toReversed()) {
    let child: Message | undefined = newest;
    while (child !== undefined && !newestBelow.has(parentOf(child))) {
      newestBelow.set(parentOf(child), child.id);
      child = byId.get(parentOf(child));
    }
  }
  const path: Step[] = [];
  const visited = new Set<string>();
  let at = ROOT;
  for (;;) {
    const siblings = children.get(at);
    if (siblings === undefined) return path;
    const chosen = choices.get(at);
    const id =
      chosen !== undefined && siblings.includes(chosen) ? chosen : (newestBelow.get(at) ?? siblings[0]);
    const message = id === undefined ? undefined : byId.get(id);
    if (message === undefined || visited.has(message.id)) return path;
    visited.add(message.id);
    path.push({ message, siblings, position: siblings.indexOf(message.id) });
    at = message.id;
  }
}

/** The choices after showing `child` below its parent. */
export function choose(choices: Choices, parentId: string | null, child: string): Choices {
  return new Map(choices).set(parentId ?? ROOT, child);
}
