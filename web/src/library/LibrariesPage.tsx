import { LockOutlined, PlusOutlined } from "@ant-design/icons";
import { App, Button, Tag } from "antd";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { useLibraries } from "../api/libraries";
import type { Library } from "../api/types";
import { useTexts } from "../i18n";
import cards from "../look/Cards.module.css";
import { Loaded } from "../look/Loaded";
import { Page } from "../look/Page";
import { useSignedIn } from "../session/SignedIn";
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
  return (
    <Page
      title={texts.library.title}
      lead={texts.library.lead}
      actions={
        user.role === "admin" && (
          <Button type="primary" icon={<PlusOutlined aria-hidden />} onClick={() => setAdding(true)}>
            {texts.library.add}
          </Button>
        )
      }
    >
      <Loaded query={list}>
        {(libraries) =>
          libraries.length === 0 ? (
            <div className={cards.empty}>
              <p>{texts.library.none}</p>
              {user.role === "admin" && <p className={cards.quiet}>{texts.library.noneLead}</p>}
            </div>
          ) : (
            <ul className={cards.cards}>
              {libraries.map((library) => (
                <Card key={library.name} library={library} />
              ))}
            </ul>
          )
        }
      </Loaded>
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
    </Page>
  );
}

function Card({ library }: { library: Library }) {
  const texts = useTexts();
  return (
    <li>
      <Link href={`/library/${encodeURIComponent(library.name)}`} className={cards.card}>
        <span className={cards.title}>
          {library.title}
          {!library.everyone && (
            <Tag icon={<LockOutlined aria-hidden />} className={cards.tag}>
              {texts.library.restricted}
            </Tag>
          )}
        </span>
        <LibraryAbout library={library} />
      </Link>
    </li>
  );
}
