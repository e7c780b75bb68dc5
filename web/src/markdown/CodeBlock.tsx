import { CheckOutlined, CopyOutlined } from "@ant-design/icons";
import type { ElementContent } from "hast";
import { memo, type ReactNode, useEffect, useMemo, useState } from "react";
import { useTexts } from "../i18n";
import { useCopy } from "../lib/useCopy";
import { highlight, isLoaded, knownLanguage, loadLanguage } from "./highlight";
import styles from "./Markdown.module.css";

/** Beyond this a browser takes longer to colour the code than a person waits for it. */
const LONGEST_HIGHLIGHTED = 60_000;

/** A block of code with its language and a button that copies it. */
export const CodeBlock = memo(function CodeBlock({
  code,
  language,
}: {
  code: string;
  language: string | null;
}) {
  const texts = useTexts();
  const { copied, copy } = useCopy();
  const coloured = useColoured(code, knownLanguage(language));
  return (
    <figure className={styles.code}>
      <figcaption className={styles.codeHead}>
        <span>{language || texts.markdown.code}</span>
        <button
          type="button"
          className={styles.codeCopy}
          onClick={() => copy(code)}
          aria-label={texts.markdown.copyCode}
        >
          {copied ? <CheckOutlined aria-hidden /> : <CopyOutlined aria-hidden />}
          <span>{copied ? texts.common.copied : texts.common.copy}</span>
        </button>
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable by keyboard */}
      <pre className={styles.codeBody} tabIndex={0}>
        <code>{coloured ?? code}</code>
      </pre>
    </figure>
  );
});

function useColoured(code: string, language: string | null): ReactNode {
  const [loaded, setLoaded] = useState<string | null>(null);
  useEffect(() => {
    if (language === null || isLoaded(language)) return;
    let current = true;
    loadLanguage(language).then(
      () => current && setLoaded(language),
      () => undefined, // offline: plain code is still code
    );
    return () => {
      current = false;
    };
  }, [language]);
  const ready = language !== null && (loaded === language || isLoaded(language));
  return useMemo(
    () =>
      ready && language !== null && code.length <= LONGEST_HIGHLIGHTED
        ? spans(highlight(language, code))
        : null,
    [ready, language, code],
  );
}

function spans(nodes: readonly ElementContent[]): ReactNode[] {
  return nodes.map((node, index) => {
    if (node.type === "text") return node.value;
    if (node.type !== "element") return null;
    const { className } = node.properties;
    return (
      // biome-ignore lint/suspicious/noArrayIndexKey: spans of one text have nothing but their place
      <span key={index} className={Array.isArray(className) ? className.join(" ") : undefined}>
        {spans(node.children)}
      </span>
    );
  });
}
