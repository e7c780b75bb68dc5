import { CloseOutlined, FileTextOutlined } from "@ant-design/icons";
import { Tooltip } from "antd";
import { useFormats, useTexts } from "../i18n";
import styles from "./Attachments.module.css";
import type { Attaching } from "./useAttaching";

/** What is attached to the conversation, above the box. */
export function Attachments({ attachments }: { attachments: Attaching }) {
  const texts = useTexts();
  const { number } = useFormats();
  const { documents, sending, remove } = attachments;
  if (documents.length === 0 && sending === null) return null;
  return (
    <ul className={styles.list} aria-label={texts.chat.attachments}>
      {documents.map((document) => (
        <li
          key={document.id}
          className={document.state === "failed" ? `${styles.file} ${styles.failed}` : styles.file}
        >
          <FileTextOutlined aria-hidden />
          <Tooltip title={document.reason}>
            <span className={styles.name}>{document.file_name}</span>
          </Tooltip>
          {document.state !== "read" && (
            <span className={styles.state}>{texts.library.state[document.state]}</span>
          )}
          <button
            type="button"
            className={styles.remove}
            aria-label={texts.chat.detach(document.file_name)}
            onClick={() => remove(document)}
          >
            <CloseOutlined aria-hidden />
          </button>
        </li>
      ))}
      {sending !== null && (
        <li className={styles.file}>
          {texts.chat.sendingFile(sending.name, number(Math.floor(sending.share * 100)))}
        </li>
      )}
    </ul>
  );
}
