import styles from "./Wordmark.module.css";

/** The mark: 日, with the sun coming up over its middle stroke. */
export function Mark({ size = 24 }: { size?: number }) {
  return (
    <svg className={styles.mark} width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <path className={styles.sun} d="M9 16a7 7 0 0 1 14 0z" />
      <path
        className={styles.frame}
        d="M6.200 6.500A3 3 0 0 1 9.200 3.500h13.600a3 3 0 0 1 3 3v19a3 3 0 0 1-3 3H9.200a3 3 0 0 1-3-3zM6.200 16h19.600"
      />
    </svg>
  );
}

export function Wordmark({ large = false }: { large?: boolean }) {
  return (
    <span className={large ? `${styles.wordmark} ${styles.large}` : styles.wordmark}>
      <Mark size={large ? 40 : 24} />
      <span className={styles.han} lang="zh-CN">
        日新
      </span>
      <span className={styles.latin} lang="en">
        Rixin
      </span>
    </span>
  );
}
