import type { UseQueryResult } from "@tanstack/react-query";
import { Alert, Button, Skeleton } from "antd";
import type { ReactNode } from "react";
import { useTexts } from "../i18n";
import { errorText } from "../lib/errorText";

type Loadable<Data> = Pick<UseQueryResult<Data>, "data" | "error" | "refetch">;

interface LoadedProps<Data> {
  query: Loadable<Data>;
  /** What stands there for an error that has a word of its own; null for those that have not. */
  refused?: (error: Error) => ReactNode;
  children: (data: Data) => ReactNode;
}

/** What was asked of the server: a place for it until it is there, why it is not, or what is made of it. */
export function Loaded<Data>({ query, refused, children }: LoadedProps<Data>): ReactNode {
  const { data, error } = query;
  if (data !== undefined) return children(data);
  if (error === null) return <Skeleton active title={false} />;
  return refused?.(error) ?? <LoadFailed error={error} onRetry={() => void query.refetch()} />;
}

export function LoadFailed({ error, onRetry }: { error: Error; onRetry: () => void }) {
  const texts = useTexts();
  return (
    <Alert
      type="error"
      role="alert"
      title={errorText(texts, error)}
      action={
        <Button size="small" onClick={onRetry}>
          {texts.common.retry}
        </Button>
      }
    />
  );
}
