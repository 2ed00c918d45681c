// GET /errors: every code, why it comes, what to do, and whether it was charged. Drawn here, without a script, and fit for paper.
import { html, raw } from "hono/html";
import type { App } from "./context.ts";
import { errorEntries, STATUS_TITLES, type ErrorEntry } from "./error-codes.ts";
import type { ErrorStatus } from "./errors.ts";
import { ERRORS_STYLE } from "./errors-style.ts";
import { failureEntries, type FailureEntry } from "./failure-codes.ts";
import { setPagePolicy } from "./page-policy.ts";

const NONCE = "{nonce}";

interface ContentsOf {
  readonly groups: ReadonlyMap<ErrorStatus, readonly ErrorEntry[]>;
  readonly failures: readonly FailureEntry[];
  readonly operators: readonly ErrorEntry[];
}

export function mountErrorsPage(app: App): void {
  let drawn: string | null = null; // once an isolate; only the nonce is new each time
  app.get("/errors", async (c) => {
    drawn ??= String(await html`<!doctype html>${(<Page nonce={NONCE} />)}`);
    return c.html(drawn.replaceAll(NONCE, setPagePolicy(c, { img: "data:" })));
  });
}

function Page({ nonce }: { nonce: string }) {
  const entries = errorEntries();
  const tenants = entries.filter(({ on }) => !on.includes("operator"));
  const operators = entries.filter(({ on }) => on.includes("operator"));
  const groups = Map.groupBy(tenants, ({ status }) => status);
  const failures = failureEntries();
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>Errors - Reelay API</title>
        <link rel="icon" href="data:," />
        <style nonce={nonce}>{raw(ERRORS_STYLE)}</style>
      </head>
      <body>
        <div class="page">
          <header>
            <Lead />
          </header>
          <nav class="toc" aria-label="Codes">
            {/* Twice, of which the style shows one: beside the page where there is room, else to be opened, without a script. */}
            <details class="narrow">
              <summary>All codes</summary>
              <Contents groups={groups} failures={failures} operators={operators} />
            </details>
            <div class="wide">
              <Contents groups={groups} failures={failures} operators={operators} />
            </div>
          </nav>
          <main>
            {[...groups].map(([status, each]) => (
              <>
                <h2>{titleOf(status)}</h2>
                {each.map((entry) => (
                  <RequestError entry={entry} />
                ))}
              </>
            ))}
            <h2 id="failed-tasks">Failed tasks</h2>
            <p class="lead">
              A task that was accepted and ends without a video is no failed request: a query of it answers 200, with the status{" "}
              <code>failed</code> and these codes in <code>error</code>. You are never charged for one.
            </p>
            {failures.map((entry) => (
              <Failure entry={entry} />
            ))}
            <h2 id="operator-api">Operator API</h2>
            <p class="lead">Codes that only /admin/v1 answers, to the one who runs this gateway.</p>
            {operators.map((entry) => (
              <RequestError entry={entry} />
            ))}
          </main>
        </div>
      </body>
    </html>
  );
}

function Contents({ groups, failures, operators }: ContentsOf) {
  return (
    <>
      {[...groups].map(([status, each]) => (
        <TocGroup title={titleOf(status)} items={each.map(({ code }) => ({ id: code, code }))} />
      ))}
      <TocGroup title="Failed tasks" items={failures.map(({ code }) => ({ id: failureId(code), code }))} />
      <TocGroup title="Operator API" items={operators.map(({ code }) => ({ id: code, code }))} />
    </>
  );
}

function Lead() {
  return (
    <>
      <h1>Errors</h1>
      <p class="lead">
        Every reply that is no success has the same body. <code>code</code> is for your program and never changes its meaning;{" "}
        <code>message</code> is for people and may change; <code>param</code> names the field at fault, where there is one. The
        header <code>x-request-id</code> is on every reply: tell it to the operator when you ask for help.
      </p>
      <p class="lead">
        A request that was refused costs nothing and leaves nothing behind. Repeat it by itself only where it says so here, after
        the seconds in <code>Retry-After</code>, and a create always with the same <code>Idempotency-Key</code>. All paths are in
        the <a href="/docs">API reference</a>.
      </p>
    </>
  );
}

function TocGroup({ title, items }: { title: string; items: readonly { id: string; code: string }[] }) {
  return (
    <section>
      <h2>{title}</h2>
      <ul>
        {items.map(({ id, code }) => (
          <li>
            <a href={`#${id}`}>
              <code>{code}</code>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

function RequestError({ entry: { code, status, type, why, todo, charged, retry, example } }: { entry: ErrorEntry }) {
  return (
    <section class="code" id={code}>
      <h3>
        <a href={`#${code}`}>
          <code>{code}</code>
        </a>
        <span class="tag">{status}</span>
        <span class="tag">{type}</span>
      </h3>
      <dl>
        <Row term="Why">{why}</Row>
        <Row term="What to do">{todo}</Row>
        <dt>Charged?</dt>
        <dd class={charged.startsWith("No.") ? "no" : "mind"}>{charged}</dd>
        <Row term="Repeat it?">{retry ? "Yes, after a pause." : "No: it gets the same answer until something has changed."}</Row>
      </dl>
      <Example body={example} />
    </section>
  );
}

function Failure({ entry: { code, why, todo, example } }: { entry: FailureEntry }) {
  return (
    <section class="code" id={failureId(code)}>
      {errorEntries().every((each) => each.code !== code) && <span id={code} />}
      <h3>
        <a href={`#${failureId(code)}`}>
          <code>{code}</code>
        </a>
        <span class="tag">200, failed</span>
      </h3>
      <dl>
        <Row term="Why">{why}</Row>
        <Row term="What to do">{todo}</Row>
        <dt>Charged?</dt>
        <dd class="no">No. The credits that were held for it are available again.</dd>
      </dl>
      <Example body={example} />
    </section>
  );
}

function Row({ term, children }: { term: string; children?: string }) {
  return (
    <>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Example({ body }: { body: object }) {
  return (
    <pre>
      <code>{JSON.stringify(body, null, 2)}</code>
    </pre>
  );
}

function titleOf(status: ErrorStatus): string {
  return `${status} ${STATUS_TITLES[status]}`;
}

/** Some codes are known to requests and to tasks. One that only tasks have is found under its plain name, too. */
function failureId(code: string): string {
  return `task-${code}`;
}
