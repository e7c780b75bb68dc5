import { CheckOutlined, CopyOutlined, EditOutlined } from "@ant-design/icons";
import { Bubble } from "@ant-design/x";
import { Button, Input } from "antd";
import { type KeyboardEvent, memo, useState } from "react";
import { useTexts } from "../i18n";
import { useCopy } from "../lib/useCopy";
import { IconButton } from "../look/IconButton";
import { Branches } from "./Branches";
import styles from "./Thread.module.css";
import type { Step } from "./tree";

interface UserMessageProps {
  step: Step;
  busy: boolean;
  onShow: (sibling: string) => void;
  onResend: (content: string) => Promise<boolean>;
}

/** What a person said, as plain text. */
export const UserMessage = memo(function UserMessage({ step, busy, onShow, onResend }: UserMessageProps) {
  const texts = useTexts();
  const { copied, copy } = useCopy();
  const [editing, setEditing] = useState(false);
  const { content } = step.message;
  return (
    <article className={styles.user} aria-label={texts.chat.you}>
      {editing ? (
        <Editor
          content={content}
          busy={busy}
          onClose={() => setEditing(false)}
          onSend={async (text) => {
            if (await onResend(text)) setEditing(false);
          }}
        />
      ) : (
        <>
          <Bubble
            className={styles.bubble}
            classNames={{ content: styles.said }}
            placement="end"
            content={content}
          />
          <div className={styles.actions}>
            <span className={styles.faint}>
              <IconButton
                icon={copied ? <CheckOutlined aria-hidden /> : <CopyOutlined aria-hidden />}
                label={copied ? texts.common.copied : texts.common.copy}
                onClick={() => copy(content)}
              />
              <IconButton
                icon={<EditOutlined aria-hidden />}
                label={texts.chat.edit}
                disabled={busy}
                onClick={() => setEditing(true)}
              />
            </span>
            <Branches step={step} onShow={onShow} />
          </div>
        </>
      )}
    </article>
  );
});

interface EditorProps {
  content: string;
  busy: boolean;
  onClose: () => void;
  onSend: (text: string) => Promise<void>;
}

function Editor({ content, busy, onClose, onSend }: EditorProps) {
  const texts = useTexts();
  const [text, setText] = useState(content);
  const [sending, setSending] = useState(false);
  const sendable = text.trim() !== "" && !busy && !sending;
  const send = async () => {
    if (!sendable) return;
    setSending(true);
    await onSend(text.trim());
    setSending(false);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape") onClose();
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      void send();
    }
  };
  return (
    <div className={styles.editor}>
      <Input.TextArea
        variant="borderless"
        autoFocus
        autoSize={{ minRows: 1, maxRows: 12 }}
        aria-label={texts.chat.editLabel}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={onKeyDown}
        onFocus={({ target }) => target.setSelectionRange(target.value.length, target.value.length)}
      />
      <div className={styles.editorButtons}>
        <Button size="small" onClick={onClose}>
          {texts.common.cancel}
        </Button>
        <Button size="small" type="primary" disabled={!sendable} loading={sending} onClick={send}>
          {texts.chat.resend}
        </Button>
      </div>
    </div>
  );
}
