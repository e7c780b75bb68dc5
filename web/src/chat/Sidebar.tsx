import {
  BookOutlined,
  EditOutlined,
  HighlightOutlined,
  MenuFoldOutlined,
  SyncOutlined,
} from "@ant-design/icons";
import { Button, Tooltip } from "antd";
import { Link } from "wouter";
import { useAnnotationTasks } from "../api/annotation";
import { useTexts } from "../i18n";
import { Wordmark } from "../look/Wordmark";
import { useSignedIn } from "../session/SignedIn";
import { AccountMenu } from "./AccountMenu";
import { ConversationList } from "./ConversationList";
import styles from "./Sidebar.module.css";

interface SidebarProps {
  current: string | null;
  onHide: () => void;
  onPick: () => void;
}

export function Sidebar({ current, onHide, onPick }: SidebarProps) {
  const texts = useTexts();
  const { user } = useSignedIn();
  const annotates = (useAnnotationTasks().data ?? []).length > 0;
  return (
    <div className={styles.sidebar}>
      <div className={styles.top}>
        <Link href="/" className={styles.home} onClick={onPick} aria-label={texts.name}>
          <Wordmark />
        </Link>
        <Tooltip title={texts.chat.closeList}>
          <Button
            type="text"
            icon={<MenuFoldOutlined aria-hidden />}
            aria-label={texts.chat.closeList}
            onClick={onHide}
          />
        </Tooltip>
      </div>
      <Link href="/" className={styles.fresh} onClick={onPick}>
        <EditOutlined aria-hidden />
        {texts.chat.new}
      </Link>
      <Link href="/library" className={styles.way} onClick={onPick}>
        <BookOutlined aria-hidden />
        {texts.library.title}
      </Link>
      {annotates && (
        <Link href="/annotate" className={styles.way} onClick={onPick}>
          <HighlightOutlined aria-hidden />
          {texts.annotate.title}
        </Link>
      )}
      {user.role === "admin" && (
        <Link href="/cycles" className={styles.way} onClick={onPick}>
          <SyncOutlined aria-hidden />
          {texts.cycles.title}
        </Link>
      )}
      <ConversationList current={current} onPick={onPick} />
      <AccountMenu />
    </div>
  );
}
