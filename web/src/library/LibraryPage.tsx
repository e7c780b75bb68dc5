import { ArrowLeftOutlined, LockOutlined, MoreOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { Alert, App, Button, Dropdown, Result, Skeleton, Tag } from "antd";
import { useEffect, useState } from "react";
import { useLocation } from "wouter";
import { ApiError } from "../api/http";
import { deleteLibrary, libraryKeys, useLibrary } from "../api/libraries";
import type { Library } from "../api/types";
import { useTexts } from "../i18n";
import { errorText } from "../lib/errorText";
import { LoadFailed } from "../settings/LoadFailed";
import { DocumentList } from "./DocumentList";
import styles from "./Library.module.css";
import { LibraryAbout } from "./LibraryAbout";
import { LibraryForm } from "./LibraryForm";
import { Search } from "./Search";
import { Uploads } from "./Uploads";

/** One Library: search it, see its documents, and for those who may, fill it. */
export default function LibraryPage({ name }: { name: string }) {
  const texts = useTexts();
  const [, navigate] = useLocation();
  const { data: library, error, refetch } = useLibrary(name);
  const [editing, setEditing] = useState(false);
  const title = library?.title ?? texts.library.title;
  useEffect(() => {
    document.title = `${title} · ${texts.name}`;
  }, [title, texts]);
  return (
    <main className={styles.page}>
      <div className={styles.column}>
        <Button
          type="text"
          className={styles.back}
          icon={<ArrowLeftOutlined aria-hidden />}
          onClick={() => navigate("/library")}
        >
          {texts.library.all}
        </Button>
        {library === undefined ? (
          error === null ? (
            <Skeleton active />
          ) : error instanceof ApiError && error.status === 404 ? (
            <Result icon={null} title={texts.library.gone} />
          ) : (
            <LoadFailed error={error} onRetry={() => refetch()} />
          )
        ) : (
          <>
            <div className={styles.head}>
              <h1 className={styles.title}>{library.title}</h1>
              {library.may_change && <Actions library={library} onEdit={() => setEditing(true)} />}
            </div>
            <p className={styles.lead}>
              <LibraryAbout library={library} />
              {!library.everyone && (
                <Tag icon={<LockOutlined aria-hidden />} className={styles.tag}>
                  {texts.library.restricted}
                </Tag>
              )}
            </p>
            {library.problem && (
              <Alert
                type="error"
                role="alert"
                className={styles.problem}
                title={texts.library.problem}
                description={library.problem}
              />
            )}
            <Search library={name} />
            {library.may_change && <Uploads library={name} />}
            <DocumentList library={library} />
            {editing && (
              <LibraryForm
                library={library}
                onClose={() => setEditing(false)}
                onSaved={() => setEditing(false)}
              />
            )}
          </>
        )}
      </div>
    </main>
  );
}

function Actions({ library, onEdit }: { library: Library; onEdit: () => void }) {
  const texts = useTexts();
  const client = useQueryClient();
  const { modal, message } = App.useApp();
  const [, navigate] = useLocation();
  const remove = () =>
    modal.confirm({
      title: texts.library.removeTitle(library.title),
      content: texts.library.removeText,
      okText: texts.common.remove,
      okButtonProps: { danger: true },
      cancelText: texts.common.cancel,
      icon: null,
      onOk: async () => {
        try {
          await deleteLibrary(library.name);
        } catch (error) {
          message.error(errorText(texts, error));
          return;
        }
        navigate("/library");
        client.removeQueries({ queryKey: libraryKeys.one(library.name) });
        await client.invalidateQueries({ queryKey: libraryKeys.all });
      },
    });
  return (
    <Dropdown
      trigger={["click"]}
      placement="bottomRight"
      menu={{
        items: [
          { key: "edit", label: texts.library.settings },
          { type: "divider" },
          { key: "remove", label: texts.common.remove, danger: true },
        ],
        onClick: ({ key }) => (key === "edit" ? onEdit() : remove()),
      }}
    >
      <Button
        type="text"
        icon={<MoreOutlined aria-hidden />}
        aria-label={texts.library.menu(library.title)}
      />
    </Dropdown>
  );
}
