import { Button, Input, Skeleton } from "antd";
import { type FormEvent, useState } from "react";
import { useSearch } from "../api/libraries";
import type { SearchHit } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import cards from "../look/Cards.module.css";
import { LoadFailed } from "../look/Loaded";
import { DocumentDrawer } from "./DocumentDrawer";
import styles from "./Library.module.css";
import { matches } from "./matches";
import { PlaceLink } from "./PlaceLink";

/** Below this it is said that the documents may not answer the question. */
const UNSURE = 0.2;

/** Search one Library: the passages that were found, with what was asked marked in them. */
export function Search({ library }: { library: string }) {
  const texts = useTexts();
  const [text, setText] = useState("");
  const [question, setQuestion] = useState("");
  const [open, setOpen] = useState<string | null>(null);
  const found = useSearch(library, question);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setQuestion(text.trim());
  };
  return (
    <search className={styles.section}>
      <form className={styles.searchRow} onSubmit={submit}>
        <Input
          value={text}
          maxLength={1000}
          allowClear
          onChange={(event) => {
            setText(event.target.value);
            if (event.target.value === "") setQuestion("");
          }}
          placeholder={texts.library.searchPlaceholder}
          aria-label={texts.library.search}
        />
        <Button type="primary" htmlType="submit" disabled={text.trim() === ""}>
          {texts.library.find}
        </Button>
      </form>
      <output className="visually-hidden">
        {found.data &&
          (found.data.hits.length === 0
            ? texts.library.nothing
            : texts.library.found(found.data.hits.length))}
      </output>
      {question === "" ? null : found.data === undefined ? (
        found.error ? (
          <LoadFailed error={found.error} onRetry={() => found.refetch()} />
        ) : (
          <Skeleton active title={false} />
        )
      ) : found.data.hits.length === 0 ? (
        <div className={`${cards.empty} ${styles.nothing}`}>
          <p>{texts.library.nothing}</p>
          <p className={styles.quiet}>{texts.library.nothingHint}</p>
        </div>
      ) : (
        <>
          <h2 className="visually-hidden">{texts.library.results}</h2>
          {found.data.confidence < UNSURE && <p className={styles.quiet}>{texts.library.unsure}</p>}
          <ol className={styles.hits}>
            {found.data.hits.map((hit) => (
              <Hit
                key={`${hit.document_id} ${hit.start}`}
                library={library}
                hit={hit}
                question={question}
                onOpen={setOpen}
              />
            ))}
          </ol>
        </>
      )}
      {open && <DocumentDrawer address={open} onClose={() => setOpen(null)} />}
    </search>
  );
}

function Hit({
  library,
  hit,
  question,
  onOpen,
}: {
  library: string;
  hit: SearchHit;
  question: string;
  onOpen: (address: string) => void;
}) {
  const texts = useTexts();
  const { number } = useFormats();
  const address = `/library/${encodeURIComponent(library)}/documents/${encodeURIComponent(hit.document_id)}#${hit.start}-${hit.stop}`;
  const path = hit.heading_path.filter((part) => part !== hit.title);
  const how = [
    texts.library.score(number(hit.score, 3)),
    ...(hit.lexical_rank === null ? [] : [texts.library.byWords(hit.lexical_rank)]),
    ...(hit.vector_rank === null ? [] : [texts.library.byMeaning(hit.vector_rank)]),
    ...(hit.page === null ? [] : [texts.library.page(hit.page)]),
  ];
  return (
    <li className={styles.hit}>
      <PlaceLink address={address} className={styles.hitTitle} onOpen={onOpen}>
        {[hit.title, ...path].join(" › ")}
      </PlaceLink>
      <p className={styles.passage}>
        {matches(hit.text, question).map((part, index) =>
          part.marked ? (
            // biome-ignore lint/suspicious/noArrayIndexKey: parts of a text have nothing but their place
            <mark key={index} className={styles.match}>
              {part.text}
            </mark>
          ) : (
            part.text
          ),
        )}
      </p>
      <p className={styles.about}>{how.join(" · ")}</p>
    </li>
  );
}
