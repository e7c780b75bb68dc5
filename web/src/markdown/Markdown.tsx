import type { AlignType, Definition, Nodes, Parents, RootContent } from "mdast";
import { Fragment, memo, type ReactNode, useRef } from "react";
import { type Texts, useTexts } from "../i18n";
import { CodeBlock } from "./CodeBlock";
import { safeAddress, splitBareLink } from "./links";
import styles from "./Markdown.module.css";
import { type Parsed, parseGrowing } from "./parse";

interface MarkdownProps {
  source: string;
  growing: boolean;
  /** What stands for a piece of text, where it is more than itself; the same function as long as that is the same. */
  inText?: (text: string) => ReactNode;
}

const asItIs = (text: string): ReactNode => text;

/**
 * A model's text as it was meant, and nothing more than text.
 *
 * The tree is turned into React elements by hand: raw HTML is shown as written, addresses are checked, and pictures
 * are never fetched (they would tell somebody else what is being read here). No HTML string is ever made.
 */
export const Markdown = memo(function Markdown({ source, growing, inText = asItIs }: MarkdownProps) {
  const texts = useTexts();
  const earlier = useRef<Parsed>(undefined);
  // When the text is complete it is parsed once as a whole: a link may be defined far below its use.
  const parsed = parseGrowing(source, growing ? earlier.current : undefined);
  earlier.current = parsed;
  const definitions = new Map<string, Definition>();
  for (const { node } of parsed.blocks) {
    if (node.type === "definition" && !definitions.has(node.identifier))
      definitions.set(node.identifier, node);
  }
  // Models begin with any rank; the page's own headings are h1, so theirs begin with h2.
  const depths = parsed.blocks.flatMap(({ node }) => (node.type === "heading" ? [node.depth] : []));
  const topDepth = Math.min(...depths, 6);
  return (
    <div className={styles.markdown}>
      {parsed.blocks.map(({ source: blockSource, node }, index) => (
        <BlockView
          // biome-ignore lint/suspicious/noArrayIndexKey: blocks only grow at the end
          key={index}
          source={blockSource}
          node={node}
          definitions={definitions}
          topDepth={topDepth}
          texts={texts}
          inText={inText}
        />
      ))}
    </div>
  );
});

interface Context {
  readonly definitions: ReadonlyMap<string, Definition>;
  readonly topDepth: number;
  readonly texts: Texts;
  readonly inText: (text: string) => ReactNode;
}

const BlockView = memo(
  function BlockView({
    node,
    definitions,
    topDepth,
    texts,
    inText,
  }: Context & { source: string; node: RootContent }) {
    return render(node, { definitions, topDepth, texts, inText });
  },
  (before, after) =>
    before.source === after.source &&
    before.node.type === after.node.type &&
    before.texts === after.texts &&
    before.inText === after.inText &&
    before.topDepth === after.topDepth &&
    before.definitions.size === after.definitions.size,
);

function children(node: Parents, context: Context): ReactNode {
  // biome-ignore lint/suspicious/noArrayIndexKey: nodes of one text have nothing but their place
  return node.children.map((child, index) => <Fragment key={index}>{render(child, context)}</Fragment>);
}

function render(node: Nodes, context: Context): ReactNode {
  switch (node.type) {
    case "root":
      return children(node, context);
    case "paragraph":
      return <p>{children(node, context)}</p>;
    case "heading": {
      const rank = Math.max(node.depth - context.topDepth, 0);
      const Heading = (["h2", "h3", "h4", "h5", "h6"] as const)[rank] ?? "h6";
      return <Heading>{children(node, context)}</Heading>;
    }
    case "blockquote":
      return <blockquote>{children(node, context)}</blockquote>;
    case "list":
      return node.ordered ? (
        <ol start={node.start ?? 1}>{children(node, context)}</ol>
      ) : (
        <ul>{children(node, context)}</ul>
      );
    case "listItem":
      return typeof node.checked === "boolean" ? (
        <li className={styles.task}>
          <input type="checkbox" checked={node.checked} disabled readOnly />
          <div>{children(node, context)}</div>
        </li>
      ) : (
        <li>{children(node, context)}</li>
      );
    case "code":
      return <CodeBlock code={node.value} language={node.lang ?? null} />;
    case "table":
      return (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable by keyboard
        <section className={styles.table} tabIndex={0} aria-label={context.texts.markdown.table}>
          <table>
            {node.children.slice(0, 1).map((row) => (
              <thead key="head">{cells(row.children, node.align, "th", context)}</thead>
            ))}
            <tbody>
              {node.children.slice(1).map((row, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: rows have nothing but their place
                <Fragment key={index}>{cells(row.children, node.align, "td", context)}</Fragment>
              ))}
            </tbody>
          </table>
        </section>
      );
    case "thematicBreak":
      return <hr />;
    case "text":
      return context.inText(node.value);
    case "strong":
      return <strong>{children(node, context)}</strong>;
    case "emphasis":
      return <em>{children(node, context)}</em>;
    case "delete":
      return <del>{children(node, context)}</del>;
    case "inlineCode":
      return <code className={styles.inlineCode}>{node.value}</code>;
    case "break":
      return <br />;
    case "html":
      // The one tag that models use where Markdown has no word for it: a line break in a table cell.
      return /^<br\s*\/?>$/i.test(node.value) ? <br /> : <span className={styles.raw}>{node.value}</span>;
    case "link": {
      const only = node.children[0];
      const bare = node.children.length === 1 && only?.type === "text" && node.url.endsWith(only.value);
      if (!bare) return link(node.url, children(node, context));
      const [shown, rest] = splitBareLink(only.value);
      const url = node.url.slice(0, node.url.length - rest.length);
      return (
        <>
          {link(url, shown)}
          {rest}
        </>
      );
    }
    case "linkReference": {
      const definition = context.definitions.get(node.identifier);
      return definition ? link(definition.url, children(node, context)) : <>[{children(node, context)}]</>;
    }
    case "image":
      return picture(node.url, node.alt, context.texts);
    case "imageReference":
      return picture(context.definitions.get(node.identifier)?.url ?? "", node.alt, context.texts);
    default:
      return null; // definitions, and kinds of nodes that the parser is not set up to make
  }
}

function cells(
  row: readonly Nodes[],
  align: readonly AlignType[] | null | undefined,
  Cell: "th" | "td",
  context: Context,
): ReactNode {
  return (
    <tr>
      {row.map((cell, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: cells have nothing but their place
        <Cell key={index} style={{ textAlign: align?.[index] ?? undefined }}>
          {"children" in cell ? children(cell, context) : null}
        </Cell>
      ))}
    </tr>
  );
}

function link(url: string, content: ReactNode): ReactNode {
  const address = safeAddress(url);
  if (address === null) return content;
  return (
    <a href={address} target="_blank" rel="noopener noreferrer nofollow">
      {content}
    </a>
  );
}

function picture(url: string, alt: string | null | undefined, texts: Texts): ReactNode {
  const label = alt ? texts.markdown.image(alt) : texts.markdown.imagePlain;
  return <span className={styles.picture}>{link(url, label)}</span>;
}
