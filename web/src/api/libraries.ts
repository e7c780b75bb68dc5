import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { client, data } from "./console";
import { apiError, csrfToken, Unreachable } from "./http";
import type { DocumentInfo, Library, LibraryChanges, NewLibrary, SearchResult } from "./types";

export const DOCUMENTS_PAGE = 50;
/** While uploads wait to be read, they are looked at again after this long. */
const READING_MS = 1500;

export const libraryKeys = {
  all: ["libraries"],
  one: (name: string) => ["libraries", name],
  documents: (name: string) => ["libraries", name, "documents"],
  document: (name: string, id: string, at: number) => ["libraries", name, "document", id, at],
  attachments: (conversation: string) => ["attachments", conversation],
  search: (name: string, question: string) => ["libraries", name, "search", question],
} as const;

const named = (name: string) => ({ params: { path: { name } } });

export const useLibraries = () =>
  useQuery({
    queryKey: libraryKeys.all,
    queryFn: async () => (await data(client.GET("/api/libraries"))).data,
    refetchInterval: ({ state }) => (state.data?.some((one) => one.waiting > 0) ? READING_MS : false),
  });

export const useLibrary = (name: string) =>
  useQuery({
    queryKey: libraryKeys.one(name),
    queryFn: () => data(client.GET("/api/libraries/{name}", named(name))),
    refetchInterval: ({ state }) => ((state.data?.waiting ?? 0) > 0 ? READING_MS : false),
  });

export const useDocuments = (name: string, reading: boolean) =>
  useInfiniteQuery({
    queryKey: libraryKeys.documents(name),
    queryFn: ({ pageParam }) =>
      data(
        client.GET("/api/libraries/{name}/documents", {
          params: { path: { name }, query: { offset: pageParam, limit: DOCUMENTS_PAGE } },
        }),
      ),
    initialPageParam: 0,
    getNextPageParam: (page) => page.next,
    // The Library may be told to be read before this list is: one that shows an unread document asks on.
    refetchInterval: ({ state }) =>
      reading || state.data?.pages.some((page) => page.data.some(isUnread)) ? READING_MS : false,
  });

/** A document's text around the code point `at`; further parts come before and after it. */
export const useDocument = (name: string, id: string, at: number) =>
  useInfiniteQuery({
    queryKey: libraryKeys.document(name, id, at),
    queryFn: ({ pageParam }) =>
      data(
        client.GET("/api/libraries/{name}/documents/{document_id}", {
          params: { path: { name, document_id: id }, query: { at: pageParam } },
        }),
      ),
    initialPageParam: at,
    getNextPageParam: (part) => (part.stop < part.length ? part.stop : null),
    getPreviousPageParam: (part) => (part.start > 0 ? part.start - 1 : null),
  });

export const useSearch = (name: string, question: string) =>
  useQuery({
    queryKey: libraryKeys.search(name, question),
    queryFn: (): Promise<SearchResult> =>
      data(
        client.GET("/api/libraries/{name}/search", {
          params: { path: { name }, query: { question, limit: 10 } },
        }),
      ),
    enabled: question !== "",
  });

export function createLibrary(body: NewLibrary): Promise<Library> {
  return data(client.POST("/api/libraries", { body }));
}

export function changeLibrary(name: string, body: LibraryChanges): Promise<Library> {
  return data(client.PATCH("/api/libraries/{name}", { ...named(name), body }));
}

export async function deleteLibrary(name: string): Promise<void> {
  await data(client.DELETE("/api/libraries/{name}", named(name)));
}

export async function deleteDocument(name: string, id: string): Promise<void> {
  const path = { name, document_id: id };
  await data(client.DELETE("/api/libraries/{name}/documents/{document_id}", { params: { path } }));
}

export const useAttachments = (conversation: string | null) =>
  useQuery({
    queryKey: libraryKeys.attachments(conversation ?? ""),
    queryFn: async () =>
      (
        await data(
          client.GET("/api/conversations/{conversation_id}/attachments", {
            params: { path: { conversation_id: conversation ?? "" } },
          }),
        )
      ).data,
    enabled: conversation !== null,
    refetchInterval: ({ state }) => (state.data?.some(isUnread) ? READING_MS : false),
  });

export function isUnread({ state }: DocumentInfo): boolean {
  return state === "waiting" || state === "reading";
}

export async function detach(conversation: string, id: string): Promise<void> {
  const path = { conversation_id: conversation, document_id: id };
  await data(
    client.DELETE("/api/conversations/{conversation_id}/attachments/{document_id}", { params: { path } }),
  );
}

export const libraryDocuments = (name: string) => `/api/libraries/${encodeURIComponent(name)}/documents`;
export const attachmentsOf = (conversation: string) => `/api/conversations/${conversation}/attachments`;

/** Send a file; `onProgress` gets the share that is sent. `fetch` can't tell that, so it is the older way. */
export function uploadDocument(
  address: string,
  file: File,
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<DocumentInfo> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    const token = csrfToken();
    if (token !== null) request.setRequestHeader("X-CSRF-Token", token);
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 0);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(request.response as DocumentInfo);
      else reject(apiError(request.status, request.response));
    };
    request.onerror = () => reject(new Unreachable());
    request.onabort = () => reject(new DOMException("Aborted", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    const form = new FormData();
    form.append("file", file, file.name);
    request.send(form);
  });
}
