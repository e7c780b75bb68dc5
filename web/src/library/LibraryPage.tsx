import { LockOutlined, MoreOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { Alert, Button, Dropdown, Result, Tag } from "antd";
import { useState } from "react";
import { useLocation } from "wouter";
import { ApiError } from "../api/http";
import { deleteLibrary, libraryKeys, useLibrary } from "../api/libraries";
import type { Library } from "../api/types";
import { useTexts } from "../i18n";
import cards from "../look/Cards.module.css";
import { Loaded } from "../look/Loaded";
import { Page } from "../look/Page";
import { useConfirm } from "../look/useConfirm";
import { DocumentList } from "./DocumentList";
import styles from "./Library.module.css";
import { LibraryAbout } from "./LibraryAbout";
import { LibraryForm } from "./LibraryForm";
import { LibraryTuned } from "./LibraryTuned";
import { Search } from "./Search";
import { Uploads } from "./Uploads";

/** One Library: search it, see its documents, and for those who may, fill it. */
export default function LibraryPage({ name }: { name: string }) {
  const texts = useTexts();
  const query = useLibrary(name);
  const [editing, setEditing] = useState(false);
  return (
    <Page
      title={query.data?.title ?? ""}
      meanwhile={texts.library.title}
      lead={
        query.data && (
          <>
            <LibraryAbout library={query.data} />
            {!query.data.everyone && (
              <Tag icon={<LockOutlined aria-hidden />} className={cards.tag}>
                {texts.library.restricted}
              </Tag>
            )}
          </>
        )
      }
      back={{ to: "/library", label: texts.library.all }}
      actions={query.data?.may_change && <Actions library={query.data} onEdit={() => setEditing(true)} />}
    >
      <Loaded
        query={query}
        refused={(error) =>
          error instanceof ApiError &&
          error.status === 404 && <Result icon={null} title={texts.library.gone} />
        }
      >
        {(library) => (
          <>
            {library.problem && (
              <Alert
                type="error"
                role="alert"
                className={styles.problem}
                title={texts.library.problem}
                description={library.problem}
              />
            )}
            <LibraryTuned library={library} />
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
      </Loaded>
    </Page>
  );
}

function Actions({ library, onEdit }: { library: Library; onEdit: () => void }) {
  const texts = useTexts();
  const client = useQueryClient();
  const confirm = useConfirm();
  const [, navigate] = useLocation();
  const remove = () =>
    confirm({
      title: texts.library.removeTitle(library.title),
      text: texts.library.removeText,
      label: texts.common.remove,
      danger: true,
      action: async () => {
        await deleteLibrary(library.name);
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
