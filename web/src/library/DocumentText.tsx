import type { ReactNode } from "react";
import type { DocumentBlock } from "../api/types";
import { useTexts } from "../i18n";
import { unitAt } from "../lib/points";
import styles from "./Document.module.css";
import { type Piece, type Place, pieces, tableRows } from "./pieces";

interface DocumentTextProps {
  blocks: readonly DocumentBlock[];
  place: Place | null;
}

/** The blocks of a document with a place in it marked. Whatever a document holds, it is only ever text here. */
export function DocumentText({ blocks, place }: DocumentTextProps) {
  const top = Math.min(...blocks.flatMap((block) => (block.kind === "heading" ? [block.level] : [])), 6);
  let page: number | null = null;
  return (
    <>
      {blocks.map((block) => {
        const turned = block.page !== null && block.page !== page;
        page = block.page ?? page;
        return (
          <BlockView
            key={block.start}
            block={block}
            place={place}
            top={top}
            page={turned ? block.page : null}
          />
        );
      })}
    </>
  );
}

function BlockView({
  block,
  place,
  top,
  page,
}: {
  block: DocumentBlock;
  place: Place | null;
  top: number;
  page: number | null;
}) {
  const texts = useTexts();
  return (
    <>
      {page !== null && <p className={styles.pageNumber}>{texts.library.page(page)}</p>}
      {render(block, place, top, texts.markdown.table)}
    </>
  );
}

function render(block: DocumentBlock, place: Place | null, top: number, tableLabel: string): ReactNode {
  const parts = pieces(block.text, block.start, place);
  switch (block.kind) {
    case "heading": {
      // The page's own headings are h1 and h2.
      const Heading = (["h2", "h3", "h4", "h5", "h6"] as const)[Math.max(block.level - top, 0)] ?? "h6";
      return <Heading>{marked(parts)}</Heading>;
    }
    case "code":
      return (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable by keyboard
        <pre className={styles.code} tabIndex={0}>
          {marked(parts)}
        </pre>
      );
    case "table":
      return <Table block={block} place={place} label={tableLabel} />;
    default:
      return <p>{marked(parts)}</p>;
  }
}

function Table({ block, place, label }: { block: DocumentBlock; place: Place | null; label: string }) {
  const [head, ...rows] = tableRows(block.text);
  if (head === undefined) return null;
  const from = place === null ? 0 : unitAt(block.text, Math.max(0, place.start - block.start));
  const to = place === null ? 0 : unitAt(block.text, Math.max(0, place.stop - block.start));
  const shown = (text: string, at: number) => {
    const [begin, end] = [Math.max(from - at, 0), Math.min(to - at, text.length)];
    if (begin >= end) return unescaped(text);
    return marked(
      [
        { text: unescaped(text.slice(0, begin)), marked: false },
        { text: unescaped(text.slice(begin, end)), marked: true },
        { text: unescaped(text.slice(end)), marked: false },
      ].filter((piece) => piece.text !== ""),
    );
  };
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable by keyboard
    <section className={styles.table} tabIndex={0} aria-label={label}>
      <table>
        <thead>
          <tr>
            {head.map(({ text, at }) => (
              <th key={at}>{shown(text, at)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row[0]?.at}>
              {row.map(({ text, at }) => (
                <td key={at}>{shown(text, at)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** A bar in a cell is written with a backslash before it. */
function unescaped(cell: string): string {
  return cell.replaceAll("\\|", "|");
}

function marked(parts: readonly Piece[]): ReactNode {
  return parts.map((piece) =>
    piece.marked ? (
      <mark key="place" className={styles.place}>
        {piece.text}
      </mark>
    ) : (
      piece.text
    ),
  );
}
