import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { libraryDocuments, libraryKeys, uploadDocument } from "../api/libraries";
import { useFormats, useTexts } from "../i18n";
import { sizeText } from "../lib/bytes";
import { errorText } from "../lib/errorText";

/** A file on its way to the server; `problem` says why it did not get there. */
export interface Upload {
  readonly id: number;
  readonly file: File;
  readonly share: number;
  readonly sending: boolean;
  readonly problem: string | null;
}

const AT_ONCE = 2;

/** Sends files two at a time; what is sent leaves the list and is in that of the documents then. */
export function useUploads(library: string, largest: number) {
  const texts = useTexts();
  const { number } = useFormats();
  const client = useQueryClient();
  const [uploads, setUploads] = useState<readonly Upload[]>([]);
  const next = useRef(1);
  const sending = useRef(new Map<number, AbortController>());

  const change = useCallback(
    (id: number, fresh: Partial<Upload> | null) =>
      setUploads((held) =>
        held.flatMap((one) => (one.id !== id ? [one] : fresh === null ? [] : [{ ...one, ...fresh }])),
      ),
    [],
  );

  const add = (files: readonly File[]) => {
    const fresh = files.map((file) => ({
      id: next.current++,
      file,
      share: 0,
      sending: false,
      problem:
        file.size > largest
          ? texts.library.tooLarge(sizeText(largest, number))
          : file.size === 0
            ? texts.library.emptyFile
            : null,
    }));
    setUploads((held) => [...held, ...fresh]);
  };

  useEffect(() => {
    const waiting = uploads.filter((one) => !one.sending && one.problem === null);
    for (const upload of waiting.slice(0, AT_ONCE - sending.current.size)) {
      const controller = new AbortController();
      sending.current.set(upload.id, controller);
      change(upload.id, { sending: true });
      uploadDocument(
        libraryDocuments(library),
        upload.file,
        (share) => change(upload.id, { share }),
        controller.signal,
      )
        .then(
          () => change(upload.id, null),
          (error: unknown) => {
            if (controller.signal.aborted) change(upload.id, null);
            else change(upload.id, { sending: false, problem: errorText(texts, error) });
          },
        )
        .finally(() => {
          sending.current.delete(upload.id);
          setUploads((held) => [...held]); // the next one may go
          void client.invalidateQueries({ queryKey: libraryKeys.one(library) });
        });
    }
  }, [uploads, library, change, client, texts]);

  useEffect(() => {
    const held = sending.current;
    return () => {
      for (const controller of held.values()) controller.abort();
    };
  }, []);

  const drop = (id: number) => {
    const controller = sending.current.get(id);
    if (controller === undefined) change(id, null);
    else controller.abort();
  };
  return { uploads, add, drop };
}
