import { useEffect, useState } from "react";
import { useTexts } from "../i18n";
import { Page } from "../look/Page";
import { DocumentView } from "./DocumentView";
import { placeOf } from "./pieces";

/** One document on a page of its own; the fragment of the address names the place: `#start-stop`. */
export default function DocumentPage({ library, id }: { library: string; id: string }) {
  const texts = useTexts();
  const [title, setTitle] = useState("");
  const place = useFragment();
  return (
    <Page
      title={title}
      meanwhile={texts.library.title}
      back={{ to: `/library/${encodeURIComponent(library)}`, label: texts.library.toLibrary }}
    >
      <DocumentView library={library} id={id} place={placeOf(place)} onTitle={setTitle} />
    </Page>
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
