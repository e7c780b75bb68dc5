import { ArrowLeftOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { type ReactNode, useEffect } from "react";
import { useLocation } from "wouter";
import { useTexts } from "../i18n";
import styles from "./Page.module.css";

interface PageProps {
  /** Its heading, and the window's title; "" while it is not known yet. */
  title: string;
  /** What the window is called while the title is not known. */
  meanwhile?: string;
  /** Where the way back leads, and what it says; the chat, where nothing else is nearer. */
  back?: { to: string; label: string };
  /** What can be done with the whole of it, beside the heading. */
  actions?: ReactNode;
  /** What the page is about, below the heading. */
  lead?: ReactNode;
  children: ReactNode;
}

/** A page beside the chat: a way back, a heading, and one column. */
export function Page({ title, meanwhile = "", back, actions, lead, children }: PageProps) {
  const texts = useTexts();
  const [, navigate] = useLocation();
  const { to, label } = back ?? { to: "/", label: texts.common.back };
  useEffect(() => {
    document.title = `${title || meanwhile} · ${texts.name}`;
  }, [title, meanwhile, texts]);
  return (
    <main className={styles.page}>
      <div className={styles.column}>
        <Button
          type="text"
          className={styles.back}
          icon={<ArrowLeftOutlined aria-hidden />}
          onClick={() => navigate(to)}
        >
          {label}
        </Button>
        {title !== "" && (
          <div className={styles.head}>
            <h1 className={styles.title}>{title}</h1>
            {actions}
          </div>
        )}
        {lead && <p className={styles.lead}>{lead}</p>}
        {children}
      </div>
    </main>
  );
}
