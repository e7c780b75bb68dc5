import { Button, Result, Spin } from "antd";
import { lazy, Suspense } from "react";
import { Redirect, Route, Switch, useLocation } from "wouter";
import { useSession } from "./api/queries";
import { ConnectionBanner } from "./ConnectionBanner";
import { ChatPage } from "./chat/ChatPage";
import { useTexts } from "./i18n";
import { errorText } from "./lib/errorText";
import { SignedInProvider } from "./session/SignedIn";

const EntryPage = lazy(() => import("./session/EntryPage"));
const DocumentPage = lazy(() => import("./library/DocumentPage"));
const AnnotationPage = lazy(() => import("./annotation/TasksPage"));
const AnnotationWorkPage = lazy(() => import("./annotation/WorkPage"));
const CyclePage = lazy(() => import("./cycles/CyclePage"));
const CyclesPage = lazy(() => import("./cycles/CyclesPage"));
const LibrariesPage = lazy(() => import("./library/LibrariesPage"));
const LibraryPage = lazy(() => import("./library/LibraryPage"));
const SettingsPage = lazy(() => import("./settings/SettingsPage"));

export function App() {
  return (
    <>
      <ConnectionBanner />
      <Suspense fallback={<Waiting />}>
        <Door />
      </Suspense>
    </>
  );
}

/** Who may see what: nobody is in without a session, and the first one in is the administrator. */
function Door() {
  const session = useSession();
  const texts = useTexts();
  const [location] = useLocation();
  if (session.data === undefined) {
    if (session.error === null) return <Waiting />;
    return (
      <Result
        status="warning"
        title={errorText(texts, session.error)}
        extra={<Button onClick={() => session.refetch()}>{texts.common.retry}</Button>}
      />
    );
  }
  const { user, setup_needed, version } = session.data;
  if (user === null) {
    if (setup_needed && location !== "/setup")
      return <Redirect to={`/setup${window.location.hash}`} replace />;
    return <EntryPage setup={location === "/setup"} setupNeeded={setup_needed} />;
  }
  return (
    <SignedInProvider value={{ user, version }}>
      <Switch>
        <Route path="/settings/:tab?">{({ tab }) => <SettingsPage tab={tab ?? "account"} />}</Route>
        <Route path="/library" component={LibrariesPage} />
        <Route path="/library/:name">{({ name }) => <LibraryPage key={name} name={name} />}</Route>
        <Route path="/library/:name/documents/:id">
          {({ name, id }) => <DocumentPage key={id} library={name} id={id} />}
        </Route>
        <Route path="/annotate" component={AnnotationPage} />
        <Route path="/annotate/:id">{({ id }) => <AnnotationWorkPage key={id} id={id} />}</Route>
        {user.role === "admin" && <Route path="/cycles" component={CyclesPage} />}
        {user.role === "admin" && (
          <Route path="/cycles/:id">{({ id }) => <CyclePage key={id} id={id} />}</Route>
        )}
        {/* One route for both, so that a new chat keeps its page (and its focus) when it gets an address. */}
        <Route path={/^\/(?:c\/(?<id>[^/]+))?$/}>{({ id }) => <ChatPage id={id ?? null} />}</Route>
        <Route>
          <Redirect to="/" replace />
        </Route>
      </Switch>
    </SignedInProvider>
  );
}

function Waiting() {
  const texts = useTexts();
  return (
    <div style={{ height: "100%", display: "grid", placeItems: "center" }}>
      <Spin delay={250} aria-label={texts.common.loading} />
    </div>
  );
}
