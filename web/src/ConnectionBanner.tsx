import { Button } from "antd";
import { ask, useReachable } from "./api/connection";
import styles from "./ConnectionBanner.module.css";
import { useTexts } from "./i18n";

/** A line over the page while the server can't be reached. */
export function ConnectionBanner() {
  const texts = useTexts();
  const reachable = useReachable();
  return (
    <output className={styles.place}>
      {!reachable && (
        <div className={styles.banner}>
          <span>{texts.connection.lost}</span>
          <Button size="small" onClick={ask}>
            {texts.connection.now}
          </Button>
        </div>
      )}
    </output>
  );
}
