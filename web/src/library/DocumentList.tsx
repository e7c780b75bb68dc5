import { DeleteOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { Button, Tag } from "antd";
import { Link } from "wouter";
import { deleteDocument, libraryKeys, useDocuments } from "../api/libraries";
import type { DocumentInfo, Library } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import { sizeText } from "../lib/bytes";
import cards from "../look/Cards.module.css";
import entries from "../look/Entries.module.css";
import { IconButton } from "../look/IconButton";
import { Loaded } from "../look/Loaded";
import { useConfirm } from "../look/useConfirm";
import styles from "./Library.module.css";

/** A Library's documents with how the reading of each stands; those that need somebody come first. */
export function DocumentList({ library }: { library: Library }) {
  const texts = useTexts();
  const list = useDocuments(library.name, library.waiting > 0);
  return (
    <section className={styles.section}>
      <h2 className={styles.subtitle}>{texts.library.list}</h2>
      <Loaded query={list}>
        {({ pages }) =>
          pages[0]?.data.length === 0 ? (
            <p className={styles.quiet}>{texts.library.noDocuments}</p>
          ) : (
            <ul className={entries.list}>
              {pages.map(({ data }) =>
                data.map((document) => <Entry key={document.id} library={library} document={document} />),
              )}
            </ul>
          )
        }
      </Loaded>
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
  const confirm = useConfirm();
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
    confirm({
      title: texts.library.removeDocument(title),
      text: texts.library.removeDocumentText,
      label: texts.common.remove,
      danger: true,
      action: () =>
        deleteDocument(library.name, document.id).finally(() =>
          client.invalidateQueries({ queryKey: libraryKeys.one(library.name) }),
        ),
    });
  return (
    <li className={entries.entry}>
      <div className={entries.main}>
        <div className={entries.name}>
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
            <Tag className={document.state === "failed" ? styles.failedTag : cards.tag}>
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
