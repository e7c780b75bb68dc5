import { ArrowLeftOutlined, LockOutlined, PlusOutlined } from "@ant-design/icons";
import { App, Button, Skeleton, Tag } from "antd";
import { useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { useLibraries } from "../api/libraries";
import type { Library } from "../api/types";
import { useTexts } from "../i18n";
import { useSignedIn } from "../session/SignedIn";
import { LoadFailed } from "../settings/LoadFailed";
import styles from "./Library.module.css";
import { LibraryAbout } from "./LibraryAbout";
import { LibraryForm } from "./LibraryForm";

/** Every Library that one may read. */
export default function LibrariesPage() {
  const texts = useTexts();
  const { user } = useSignedIn();
  const { message } = App.useApp();
  const [, navigate] = useLocation();
  const list = useLibraries();
  const [adding, setAdding] = useState(false);
  useEffect(() => {
    document.title = `${texts.library.title} · ${texts.name}`;
  }, [texts]);
  return (
    <main className={styles.page}>
      <div className={styles.column}>
        <Button
          type="text"
          className={styles.back}
          icon={<ArrowLeftOutlined aria-hidden />}
          onClick={() => navigate("/")}
        >
          {texts.common.back}
        </Button>
        <div className={styles.head}>
          <h1 className={styles.title}>{texts.library.title}</h1>
          {user.role === "admin" && (
            <Button type="primary" icon={<PlusOutlined aria-hidden />} onClick={() => setAdding(true)}>
              {texts.library.add}
            </Button>
          )}
        </div>
        <p className={styles.lead}>{texts.library.lead}</p>
        {list.data === undefined ? (
          list.error ? (
            <LoadFailed error={list.error} onRetry={() => list.refetch()} />
          ) : (
            <Skeleton active title={false} />
          )
        ) : list.data.length === 0 ? (
          <div className={styles.empty}>
            <p>{texts.library.none}</p>
            {user.role === "admin" && <p className={styles.quiet}>{texts.library.noneLead}</p>}
          </div>
        ) : (
          <ul className={styles.cards}>
            {list.data.map((library) => (
              <Card key={library.name} library={library} />
            ))}
          </ul>
        )}
        {adding && (
          <LibraryForm
            library={null}
            onClose={() => setAdding(false)}
            onSaved={(library) => {
              message.success(texts.library.created(library.title));
              navigate(`/library/${encodeURIComponent(library.name)}`);
            }}
          />
        )}
      </div>
    </main>
  );
}

function Card({ library }: { library: Library }) {
  const texts = useTexts();
  return (
    <li>
      <Link href={`/library/${encodeURIComponent(library.name)}`} className={styles.card}>
        <span className={styles.cardTitle}>
          {library.title}
          {!library.everyone && (
            <Tag icon={<LockOutlined aria-hidden />} className={styles.tag}>
              {texts.library.restricted}
            </Tag>
          )}
        </span>
        <LibraryAbout library={library} />
      </Link>
    </li>
  );
}
