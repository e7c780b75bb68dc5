import type { Root, RootContent } from "mdast";
import { fromMarkdown } from "mdast-util-from-markdown";
import { gfmAutolinkLiteralFromMarkdown } from "mdast-util-gfm-autolink-literal";
import { gfmStrikethroughFromMarkdown } from "mdast-util-gfm-strikethrough";
import { gfmTableFromMarkdown } from "mdast-util-gfm-table";
import { gfmTaskListItemFromMarkdown } from "mdast-util-gfm-task-list-item";
import { cjkFriendlyExtension } from "micromark-extension-cjk-friendly";
import { gfmStrikethroughCjkFriendly } from "micromark-extension-cjk-friendly-gfm-strikethrough";
import { gfmAutolinkLiteral } from "micromark-extension-gfm-autolink-literal";
import { gfmTable } from "micromark-extension-gfm-table";
import { gfmTaskListItem } from "micromark-extension-gfm-task-list-item";

/**
 * Markdown to a tree: CommonMark, tables, task lists, strikethrough and bare links.
 *
 * The CJK extensions make `**“重点”**是` bold, which plain CommonMark leaves as asterisks.
 */
export function parseMarkdown(source: string): Root {
  return fromMarkdown(source, {
    extensions: [
      gfmTable(),
      gfmTaskListItem(),
      gfmAutolinkLiteral(),
      cjkFriendlyExtension(),
      gfmStrikethroughCjkFriendly({ singleTilde: false }),
    ],
    mdastExtensions: [
      gfmTableFromMarkdown(),
      gfmTaskListItemFromMarkdown(),
      gfmAutolinkLiteralFromMarkdown(),
      gfmStrikethroughFromMarkdown(),
    ],
  });
}

/** A top-level block and the exact text it came from: same text, same rendering. */
export interface Block {
  readonly source: string;
  readonly node: RootContent;
}

/** Blocks of a text that grows at its end. */
export interface Parsed {
  readonly source: string;
  /** How much of `source` is in blocks that more text can't change: all but the last one. */
  readonly settled: number;
  readonly blocks: readonly Block[];
}

const NOTHING: Parsed = { source: "", settled: 0, blocks: [] };

/**
 * Parse `source`, taking the settled blocks of an earlier, shorter text over unchanged: while an answer is being
 * written, only its last block is parsed again.
 */
export function parseGrowing(source: string, earlier: Parsed = NOTHING): Parsed {
  const from = source.startsWith(earlier.source.slice(0, earlier.settled)) ? earlier.settled : 0;
  const kept = from === 0 ? [] : earlier.blocks.slice(0, -1);
  const rest = source.slice(from);
  const fresh: Block[] = [];
  let settled = from;
  for (const node of parseMarkdown(rest).children) {
    const start = node.position?.start.offset ?? 0;
    const end = node.position?.end.offset ?? rest.length;
    if (fresh.length > 0) settled = from + start - (node.position?.start.column ?? 1) + 1;
    fresh.push({ source: rest.slice(start, end), node });
  }
  return { source, settled, blocks: [...kept, ...fresh] };
}
