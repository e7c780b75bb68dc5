import { ArrowLeftOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { useEffect, useState } from "react";
import { useLocation } from "wouter";
import { useTexts } from "../i18n";
import styles from "./Document.module.css";
import { DocumentView } from "./DocumentView";
import { placeOf } from "./pieces";

/** One document on a page of its own; the fragment of the address names the place: `#start-stop`. */
export default function DocumentPage({ library, id }: { library: string; id: string }) {
  const texts = useTexts();
  const [, navigate] = useLocation();
  const [title, setTitle] = useState("");
  const place = useFragment();
  useEffect(() => {
    document.title = `${title || texts.library.title} · ${texts.name}`;
  }, [title, texts]);
  return (
    <main className={styles.page}>
      <div className={styles.column}>
        <Button
          type="text"
          className={styles.back}
          icon={<ArrowLeftOutlined aria-hidden />}
          onClick={() => navigate(`/library/${encodeURIComponent(library)}`)}
        >
          {texts.library.toLibrary}
        </Button>
        <h1 className={styles.title}>{title}</h1>
        <DocumentView library={library} id={id} place={placeOf(place)} onTitle={setTitle} />
      </div>
    </main>
  );
}

function useFragment(): string {
  const [fragment, setFragment] = useState(window.location.hash);
  useEffect(() => {
    const changed = () => setFragment(window.location.hash);
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);
  return fragment;
}
