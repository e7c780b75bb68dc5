import { DeleteOutlined, EditOutlined, MoreOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { App, Button, Dropdown, Input, type InputRef, Modal } from "antd";
import { memo, useMemo, useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { changeConversation, deleteConversation } from "../api/console";
import { keys, useConversations, useStoreConversation } from "../api/queries";
import type { Conversation } from "../api/types";
import { useTexts } from "../i18n";
import { errorText } from "../lib/errorText";
import { useConfirm } from "../look/useConfirm";
import { groupByAge } from "./groups";
import styles from "./Sidebar.module.css";

interface ListProps {
  current: string | null;
  onPick: () => void;
}

/** The conversations, newest first, by age; links, so that they open in another tab too. */
export function ConversationList({ current, onPick }: ListProps) {
  const texts = useTexts();
  const list = useConversations();
  const [renaming, setRenaming] = useState<Conversation | null>(null);
  const remove = useRemove(current);
  const conversations = useMemo(() => list.data?.pages.flatMap((page) => page.data) ?? [], [list.data]);
  const groups = useMemo(() => groupByAge(conversations, new Date()), [conversations]);

  return (
    <nav className={styles.list} aria-label={texts.chat.list}>
      {list.data === undefined && list.error !== null && (
        <div className={styles.note}>
          <p>{errorText(texts, list.error)}</p>
          <Button size="small" onClick={() => list.refetch()}>
            {texts.common.retry}
          </Button>
        </div>
      )}
      {list.data !== undefined && conversations.length === 0 && (
        <p className={styles.note}>{texts.chat.none}</p>
      )}
      {groups.map(({ age, conversations: some }) => (
        <section key={age}>
          <h2 className={styles.age}>{texts.chat[age]}</h2>
          <ul className={styles.items}>
            {some.map((conversation) => (
              <Item
                key={conversation.id}
                conversation={conversation}
                active={conversation.id === current}
                onPick={onPick}
                onRename={setRenaming}
                onRemove={remove}
              />
            ))}
          </ul>
        </section>
      ))}
      {list.hasNextPage && (
        <Button
          type="text"
          block
          className={styles.more}
          loading={list.isFetchingNextPage}
          onClick={() => list.fetchNextPage()}
        >
          {texts.chat.more}
        </Button>
      )}
      {renaming && <Rename conversation={renaming} onClose={() => setRenaming(null)} />}
    </nav>
  );
}

interface ItemProps {
  conversation: Conversation;
  active: boolean;
  onPick: () => void;
  onRename: (conversation: Conversation) => void;
  onRemove: (conversation: Conversation) => void;
}

const Item = memo(function Item({ conversation, active, onPick, onRename, onRemove }: ItemProps) {
  const texts = useTexts();
  const title = conversation.title || texts.chat.untitled;
  return (
    <li className={active ? `${styles.item} ${styles.active}` : styles.item}>
      <Link
        href={`/c/${conversation.id}`}
        className={styles.link}
        title={title}
        onClick={onPick}
        aria-current={active ? "page" : undefined}
      >
        {title}
      </Link>
      <Dropdown
        trigger={["click"]}
        placement="bottomRight"
        menu={{
          items: [
            { key: "rename", icon: <EditOutlined aria-hidden />, label: texts.chat.rename },
            { key: "remove", icon: <DeleteOutlined aria-hidden />, label: texts.common.remove, danger: true },
          ],
          onClick: ({ key }) => (key === "rename" ? onRename(conversation) : onRemove(conversation)),
        }}
      >
        <Button
          type="text"
          size="small"
          className={styles.itemMenu}
          icon={<MoreOutlined aria-hidden />}
          aria-label={texts.chat.menu(title)}
        />
      </Dropdown>
    </li>
  );
});

function useRemove(current: string | null): (conversation: Conversation) => void {
  const texts = useTexts();
  const client = useQueryClient();
  const confirm = useConfirm();
  const [, navigate] = useLocation();
  return (conversation) => {
    confirm({
      title: texts.chat.deleteTitle,
      text: texts.chat.deleteText(conversation.title || texts.chat.untitled),
      label: texts.common.remove,
      danger: true,
      action: async () => {
        await deleteConversation(conversation.id);
        if (conversation.id === current) navigate("/");
        client.removeQueries({ queryKey: keys.conversation(conversation.id) });
        await client.invalidateQueries({ queryKey: keys.conversations });
      },
    });
  };
}

const LONGEST_TITLE = 200;

function Rename({ conversation, onClose }: { conversation: Conversation; onClose: () => void }) {
  const texts = useTexts();
  const { message } = App.useApp();
  const store = useStoreConversation();
  const input = useRef<InputRef>(null);
  const [title, setTitle] = useState(conversation.title);
  const [saving, setSaving] = useState(false);
  const save = async () => {
    if (title.trim() === "") return;
    setSaving(true);
    try {
      store(await changeConversation(conversation.id, { title: title.trim() }));
      onClose();
    } catch (error) {
      message.error(errorText(texts, error));
      setSaving(false);
    }
  };
  return (
    <Modal
      open
      title={texts.chat.renameTitle}
      okText={texts.common.save}
      cancelText={texts.common.cancel}
      okButtonProps={{ disabled: title.trim() === "" }}
      confirmLoading={saving}
      onOk={save}
      onCancel={onClose}
      afterOpenChange={(open) => open && input.current?.focus({ cursor: "all" })}
    >
      <Input
        ref={input}
        value={title}
        maxLength={LONGEST_TITLE}
        aria-label={texts.chat.renameTitle}
        onChange={(event) => setTitle(event.target.value)}
        onPressEnter={(event) => !event.nativeEvent.isComposing && void save()}
      />
    </Modal>
  );
}
