import { DeleteOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { App, Button, Skeleton, Tag } from "antd";
import { Link } from "wouter";
import { deleteDocument, libraryKeys, useDocuments } from "../api/libraries";
import type { DocumentInfo, Library } from "../api/types";
import { IconButton } from "../chat/IconButton";
import { useFormats, useTexts } from "../i18n";
import { sizeText } from "../lib/bytes";
import { errorText } from "../lib/errorText";
import { LoadFailed } from "../settings/LoadFailed";
import styles from "./Library.module.css";

/** A Library's documents with how the reading of each stands; those that need somebody come first. */
export function DocumentList({ library }: { library: Library }) {
  const texts = useTexts();
  const list = useDocuments(library.name, library.waiting > 0);
  const documents = list.data?.pages.flatMap((page) => page.data);
  return (
    <section className={styles.section}>
      <h2 className={styles.subtitle}>{texts.library.list}</h2>
      {documents === undefined ? (
        list.error ? (
          <LoadFailed error={list.error} onRetry={() => list.refetch()} />
        ) : (
          <Skeleton active title={false} />
        )
      ) : documents.length === 0 ? (
        <p className={styles.quiet}>{texts.library.noDocuments}</p>
      ) : (
        <ul className={styles.list}>
          {documents.map((document) => (
            <Entry key={document.id} library={library} document={document} />
          ))}
        </ul>
      )}
      {list.hasNextPage && (
        <Button
          type="text"
          block
          className={styles.more}
          loading={list.isFetchingNextPage}
          onClick={() => list.fetchNextPage()}
        >
          {texts.library.more}
        </Button>
      )}
    </section>
  );
}

function Entry({ library, document }: { library: Library; document: DocumentInfo }) {
  const texts = useTexts();
  const { number, date } = useFormats();
  const { modal, message } = App.useApp();
  const client = useQueryClient();
  const read = document.state === "read";
  const title = document.title || document.file_name;
  const about = [
    ...(title === document.file_name || document.file_name === "" ? [] : [document.file_name]),
    ...(document.bytes > 0 ? [sizeText(document.bytes, number)] : []),
    ...(read ? [texts.library.chunks(document.chunks, number(document.chunks))] : []),
    date(document.changed_at),
  ];
  const remove = () =>
    modal.confirm({
      title: texts.library.removeDocument(title),
      content: texts.library.removeDocumentText,
      okText: texts.common.remove,
      okButtonProps: { danger: true },
      cancelText: texts.common.cancel,
      icon: null,
      onOk: async () => {
        try {
          await deleteDocument(library.name, document.id);
        } catch (error) {
          message.error(errorText(texts, error));
        }
        await client.invalidateQueries({ queryKey: libraryKeys.one(library.name) });
      },
    });
  return (
    <li className={styles.entry}>
      <div className={styles.entryMain}>
        <div className={styles.entryName}>
          {read ? (
            <Link
              href={`/library/${encodeURIComponent(library.name)}/documents/${encodeURIComponent(document.id)}`}
            >
              {title}
            </Link>
          ) : (
            <span>{title}</span>
          )}
          {!read && (
            <Tag className={document.state === "failed" ? styles.failedTag : styles.tag}>
              {texts.library.state[document.state]}
            </Tag>
          )}
        </div>
        <div className={styles.about}>{about.join(" · ")}</div>
        {document.state === "failed" && <div className={styles.failed}>{document.reason}</div>}
      </div>
      {library.may_change && document.removable && (
        <IconButton
          icon={<DeleteOutlined aria-hidden />}
          label={texts.library.removeDocument(title)}
          onClick={remove}
        />
      )}
    </li>
  );
}
