import { Tooltip } from "antd";
import type { Annotation, Message } from "../api/types";
import { useTexts } from "../i18n";
import { PlaceLink } from "../library/PlaceLink";
import { sourcesOf } from "./citations";
import styles from "./Sources.module.css";

interface OpensPlaces {
  onOpen: (address: string) => void;
}

/** A numbered mark in an answer: hovering says what it leads to, a click opens the place. */
export function CitationMark({ annotation, onOpen }: OpensPlaces & { annotation: Annotation }) {
  const texts = useTexts();
  return (
    <Tooltip
      title={
        <>
          <strong>{annotation.title}</strong>
          <div className={styles.tip}>{annotation.quote}</div>
        </>
      }
    >
      <PlaceLink
        address={annotation.url}
        className={annotation.by === "match" ? `${styles.mark} ${styles.matched}` : styles.mark}
        label={texts.sources.mark(annotation.number, annotation.title)}
        onOpen={onOpen}
      >
        {annotation.number}
      </PlaceLink>
    </Tooltip>
  );
}

const NEAREST = 3;

/** Below an answer: where it knows it from, and what was changed in it. */
export function Sources({ message, onOpen }: OpensPlaces & { message: Message }) {
  const texts = useTexts();
  const sources = sourcesOf(message.annotations ?? []);
  const notes = message.grounding?.notes ?? [];
  const removed = notes.filter(({ kind }) => kind === "quote_removed");
  const corrected = notes.some(({ kind }) => kind !== "quote_removed");
  // Nothing was cited: where one might look oneself.
  const nearest = sources.length === 0 ? (message.grounding?.sources ?? []).slice(0, NEAREST) : [];
  if (sources.length === 0 && notes.length === 0 && nearest.length === 0) return null;
  return (
    <section className={styles.sources} aria-label={texts.sources.title}>
      {sources.length > 0 && (
        <>
          <h2 className={styles.title}>{texts.sources.title}</h2>
          <ol className={styles.list}>
            {sources.map((source) => (
              <li key={source.number} className={styles.source}>
                <span className={styles.number} aria-hidden>
                  {source.number}
                </span>
                <div className={styles.body}>
                  <div className={styles.name}>{source.title}</div>
                  {source.places.map(({ url, quote, matched }) => (
                    <p key={url} className={styles.quote}>
                      <PlaceLink address={url} onOpen={onOpen}>
                        {quote || texts.sources.open}
                      </PlaceLink>
                      {matched && <span className={styles.by}>{texts.sources.matched}</span>}
                    </p>
                  ))}
                </div>
              </li>
            ))}
          </ol>
        </>
      )}
      {nearest.length > 0 && (
        <>
          <h2 className={styles.title}>{texts.sources.nearest}</h2>
          <ul className={styles.list}>
            {nearest.map(({ number, title, url, text }) => (
              <li key={number} className={styles.nearest}>
                <PlaceLink address={url} onOpen={onOpen}>
                  {title}
                </PlaceLink>
                <p className={styles.passage}>{text}</p>
              </li>
            ))}
          </ul>
        </>
      )}
      {removed.length > 0 && (
        <details className={styles.removed}>
          <summary>{texts.sources.removed(removed.length)}</summary>
          {removed.map(({ at, text }) => (
            <p key={at}>
              <span className="visually-hidden">{texts.sources.removedLabel}: </span>
              <del>{text}</del>
            </p>
          ))}
        </details>
      )}
      {corrected && <p className={styles.by}>{texts.sources.corrected}</p>}
    </section>
  );
}
