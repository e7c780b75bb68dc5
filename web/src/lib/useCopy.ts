import { App } from "antd";
import { useCallback, useEffect, useRef, useState } from "react";
import { useTexts } from "../i18n";
import { copyText } from "./copy";

const SHOWN_MS = 2000;

/** Copying with its answer: `copied` is true for two seconds after it worked. */
export function useCopy(): { copied: boolean; copy: (text: string) => void } {
  const texts = useTexts();
  const { message } = App.useApp();
  const [copied, setCopied] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = useCallback(
    async (text: string) => {
      if (!(await copyText(text))) {
        message.warning(texts.common.copyFailed);
        return;
      }
      setCopied(true);
      clearTimeout(timer.current);
      timer.current = setTimeout(() => setCopied(false), SHOWN_MS);
    },
    [message, texts],
  );
  return { copied, copy };
}
