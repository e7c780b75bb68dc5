import { Button, Result, Spin } from "antd";
import { useEffect, useRef } from "react";
import { ApiError } from "../api/http";
import { useDocument } from "../api/libraries";
import { useTexts } from "../i18n";
import { errorText } from "../lib/errorText";
import styles from "./Document.module.css";
import { DocumentText } from "./DocumentText";
import type { Place } from "./pieces";

interface DocumentViewProps {
  library: string;
  id: string;
  place: Place | null;
  onTitle?: (title: string) => void;
}

/** A document's text, opened at a place. Of a long one there is a part; the rest comes when it is asked for. */
export function DocumentView({ library, id, place, onTitle }: DocumentViewProps) {
  const texts = useTexts();
  const document = useDocument(library, id, place?.start ?? 0);
  const box = useRef<HTMLElement>(null);
  const parts = document.data?.pages;
  const title = parts?.[0]?.title;
  const loaded = parts !== undefined;

  useEffect(() => {
    if (title !== undefined) onTitle?.(title);
  }, [title, onTitle]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another place is looked for when `place` changes
  useEffect(() => {
    if (loaded) box.current?.querySelector("mark")?.scrollIntoView({ block: "center" });
  }, [loaded, place?.start, place?.stop]);

  if (parts === undefined) {
    if (document.error === null)
      return (
        <div className={styles.middle}>
          <Spin delay={250} aria-label={texts.common.loading} />
        </div>
      );
    const gone = document.error instanceof ApiError && document.error.status === 404;
    return (
      <Result
        icon={null}
        title={gone ? texts.library.documentGone : errorText(texts, document.error)}
        extra={gone ? null : <Button onClick={() => document.refetch()}>{texts.common.retry}</Button>}
      />
    );
  }
  const blocks = parts.flatMap((part) => part.blocks);
  const [first] = blocks;
  // The title stands above already.
  const again =
    first?.kind === "heading" && first.text === title && (place === null || place.start >= first.text.length);
  return (
    <article className={styles.text} ref={box} lang={parts[0]?.language ?? undefined} aria-label={title}>
      {document.hasPreviousPage && (
        <Button block loading={document.isFetchingPreviousPage} onClick={() => document.fetchPreviousPage()}>
          {texts.library.before}
        </Button>
      )}
      <DocumentText blocks={again ? blocks.slice(1) : blocks} place={place} />
      {document.hasNextPage && (
        <Button block loading={document.isFetchingNextPage} onClick={() => document.fetchNextPage()}>
          {texts.library.after}
        </Button>
      )}
    </article>
  );
}
