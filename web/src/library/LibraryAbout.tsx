import type { Library } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import styles from "./Library.module.css";

/** How much is in a Library, and how its reading stands. */
export function LibraryAbout({ library }: { library: Library }) {
  const texts = useTexts();
  const { number, date } = useFormats();
  const parts = [
    texts.library.documents(library.documents, number(library.documents)),
    texts.library.chunks(library.chunks, number(library.chunks)),
    ...(library.read_at === null ? [] : [texts.library.readAt(date(library.read_at))]),
    ...(library.tuning === null
      ? []
      : [texts.library.tuned(library.tuning.learned_from, number(library.tuning.learned_from))]),
    ...(library.reranker === null ? [] : [texts.library.reranked(library.reranker)]),
  ];
  return (
    <span className={styles.about}>
      {parts.map((part, index) => (
        <span key={part}>
          {index > 0 && " · "}
          <span className={styles.fact}>{part}</span>
        </span>
      ))}
      {library.waiting > 0 && (
        <span className={`${styles.reading} ${styles.fact}`}>
          {" "}
          · {texts.library.waiting(library.waiting)}
        </span>
      )}
      {library.failed > 0 && (
        <span className={`${styles.failed} ${styles.fact}`}>
          {" "}
          · {texts.library.failedCount(library.failed)}
        </span>
      )}
    </span>
  );
}
