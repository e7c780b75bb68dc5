import { useQueryClient } from "@tanstack/react-query";
import { App } from "antd";
import { useState } from "react";
import {
  attachmentsOf,
  detach,
  isUnread,
  libraryKeys,
  uploadDocument,
  useAttachments,
} from "../api/libraries";
import type { DocumentInfo } from "../api/types";
import { useTexts } from "../i18n";
import { errorText } from "../lib/errorText";

/** What is attached to a conversation, and what is on its way to be. */
export interface Attaching {
  readonly documents: readonly DocumentInfo[];
  readonly sending: { readonly name: string; readonly share: number } | null;
  /** Whether something is not sent or not read yet: a question would not be answered from it. */
  readonly busy: boolean;
  readonly add: (files: readonly File[]) => Promise<void>;
  readonly remove: (document: DocumentInfo) => Promise<void>;
}

const NOTHING: readonly DocumentInfo[] = [];

export function useAttaching(
  id: string | null,
  begin: () => Promise<string>,
  onBegun: (id: string) => void,
): Attaching {
  const texts = useTexts();
  const client = useQueryClient();
  const { message: toast } = App.useApp();
  const { data: documents = NOTHING } = useAttachments(id);
  const [sending, setSending] = useState<Attaching["sending"]>(null);

  const add = async (files: readonly File[]) => {
    if (files.length === 0) return;
    let conversation = id;
    for (const file of files) {
      setSending({ name: file.name, share: 0 });
      try {
        conversation = await begin();
        const { signal } = new AbortController();
        await uploadDocument(
          attachmentsOf(conversation),
          file,
          (share) => setSending({ name: file.name, share }),
          signal,
        );
      } catch (error) {
        toast.error(`${file.name}: ${errorText(texts, error)}`);
      }
    }
    setSending(null);
    if (conversation === null) return;
    await client.invalidateQueries({ queryKey: libraryKeys.attachments(conversation) });
    if (id === null) onBegun(conversation);
  };

  const remove = async (document: DocumentInfo) => {
    if (id === null) return;
    try {
      await detach(id, document.id);
    } catch (error) {
      toast.error(errorText(texts, error));
    }
    await client.invalidateQueries({ queryKey: libraryKeys.attachments(id) });
  };

  return { documents, sending, busy: sending !== null || documents.some(isUnread), add, remove };
}
