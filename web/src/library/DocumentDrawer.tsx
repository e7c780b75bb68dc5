import { ExportOutlined } from "@ant-design/icons";
import { Drawer } from "antd";
import { useState } from "react";
import { useTexts } from "../i18n";
import { PHONE, useMedia } from "../lib/useMedia";
import styles from "./Document.module.css";
import { DocumentView } from "./DocumentView";
import { placeOf } from "./pieces";

/** A document beside what one was reading; `address` is that of its own page. */
export function DocumentDrawer({ address, onClose }: { address: string; onClose: () => void }) {
  const texts = useTexts();
  const phone = useMedia(PHONE);
  const [title, setTitle] = useState("");
  const at = readAddress(address);
  return (
    <Drawer
      open
      onClose={onClose}
      size={phone ? "100%" : 620}
      title={title || texts.library.document}
      closable={{ placement: "end", "aria-label": texts.common.close }}
      extra={
        <a className={styles.own} href={address} target="_blank" rel="noopener">
          <ExportOutlined aria-hidden /> {texts.library.ownPage}
        </a>
      }
    >
      {at && <DocumentView {...at} onTitle={setTitle} />}
    </Drawer>
  );
}

/** What the address of a document's place says, or null for another address. */
export function readAddress(
  address: string,
): { library: string; id: string; place: ReturnType<typeof placeOf> } | null {
  const found = /^\/library\/([^/?#]+)\/documents\/([^/?#]+)(#.*)?$/.exec(address);
  if (found?.[1] === undefined || found[2] === undefined) return null;
  try {
    return {
      library: decodeURIComponent(found[1]),
      id: decodeURIComponent(found[2]),
      place: placeOf(found[3] ?? ""),
    };
  } catch {
    return null; // a broken escape
  }
}
