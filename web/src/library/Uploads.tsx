import { CloseOutlined, CloudUploadOutlined } from "@ant-design/icons";
import { Button, Progress } from "antd";
import { type DragEvent, useRef, useState } from "react";
import { useFormats, useTexts } from "../i18n";
import { sizeText } from "../lib/bytes";
import styles from "./Library.module.css";
import { useUploads } from "./useUploads";

/** As large as the server takes them unless it is set otherwise; it has the last word. */
const LARGEST = 2 * 1024 ** 3;

/** Where files are dropped or chosen, and how far their sending is. */
export function Uploads({ library }: { library: string }) {
  const texts = useTexts();
  const { number } = useFormats();
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const { uploads, add, drop } = useUploads(library, LARGEST);
  const size = sizeText(LARGEST, number);
  const dragging = (event: DragEvent, inside: boolean) => {
    event.preventDefault();
    setOver(inside);
  };
  return (
    <section className={styles.section} aria-label={texts.library.upload}>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: dropping is for the mouse; the button does the same */}
      <div
        className={over ? `${styles.drop} ${styles.over}` : styles.drop}
        onDragOver={(event) => dragging(event, true)}
        onDragLeave={(event) => dragging(event, false)}
        onDrop={(event) => {
          dragging(event, false);
          add([...event.dataTransfer.files]);
        }}
      >
        <input
          ref={input}
          type="file"
          multiple
          hidden
          onChange={(event) => {
            add([...(event.target.files ?? [])]);
            event.target.value = "";
          }}
        />
        <Button icon={<CloudUploadOutlined aria-hidden />} onClick={() => input.current?.click()}>
          {texts.library.drop}
        </Button>
        <p className={styles.about}>{texts.library.dropHint(size)}</p>
      </div>
      {uploads.length > 0 && (
        <ul className={styles.uploads} aria-live="polite">
          {uploads.map((upload) => {
            const failed = upload.problem !== null;
            return (
              <li key={upload.id} className={styles.upload}>
                <span className={styles.uploadName}>{upload.file.name}</span>
                {failed ? (
                  <span className={styles.failed}>{upload.problem}</span>
                ) : (
                  <>
                    <Progress
                      className={styles.progress}
                      percent={Math.round(upload.share * 100)}
                      showInfo={false}
                      size="small"
                      aria-label={upload.file.name}
                    />
                    <span className={styles.about}>
                      {upload.sending
                        ? texts.library.sending(number(Math.floor(upload.share * 100)))
                        : texts.library.queued}
                    </span>
                  </>
                )}
                <Button
                  type="text"
                  size="small"
                  icon={<CloseOutlined aria-hidden />}
                  aria-label={
                    failed
                      ? texts.library.dismiss(upload.file.name)
                      : texts.library.cancelUpload(upload.file.name)
                  }
                  onClick={() => drop(upload.id)}
                />
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}
