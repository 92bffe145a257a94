/** Those of the load who own nothing for long. */
import { backend, createLogin, refresh } from '../../test/support/login-calls.js';
import { codeOf, Line, PATIENCE_MS } from './line.js';
import { RETRY_MS, type World } from './world.js';

const CLAIM_EVERY_MS = 100;
const REFRESH_EVERY_MS = 300;
/** Of the nodes, so that every refresh rotates. */
export const REUSE_INTERVAL_MS = 200;
const LOGGED_OUT = 401;

/** Takes one fresh session after another, through one node, and gives each up again. */
export async function claimer(world: World, node: number): Promise<() => Promise<void>> {
  const name = `claimer ${node + 1}`;
  const line = await Line.open(world.cluster.node(node).port, {
    onClosed: (code) => world.ledger.find('socket closed', `${name}, ${code}`),
  });
  let taken = 0;
  let attempt = crypto.randomUUID();
  const claim = async () => {
    const session = `claimed:${node}-${taken}`;
    const startMs = performance.now();
    const answer = await line.ask({ type: 'subscribe', session_id: session, attempt_id: attempt });
    const isOwner = answer?.type === 'subscribe_ack' && answer.owner;
    const code = codeOf(answer);
    world.calls.record('claim', name, startMs, code === 'ok' && !isOwner ? 'not_given' : code);
    if (code !== 'ok') return world.pause(RETRY_MS);
    if (answer?.type === 'subscribe_ack') world.ledger.granted(session, answer.owner_epoch, line.id);
    taken += 1;
    attempt = crypto.randomUUID();
    await line.ask({ type: 'unsubscribe', session_id: session });
  };
  return async () => {
    await world.repeat(CLAIM_EVERY_MS, claim);
    line.cut();
  };
}

/** The application: publishes numbered messages by HTTP, each until it is acknowledged. */
export function publisher(world: World, session: string, periodMs: number): () => Promise<void> {
  const author = 'application';
  let n = 1;
  const publish = async () => {
    const startMs = performance.now();
    const body = { data: { author, n }, idempotency_key: `${author}-${n}` };
    const path = `/v1/sessions/${session}/messages`;
    const call = backend(world.anyNode(), path, { body, timeoutMs: PATIENCE_MS });
    const code = httpCode(await call.catch(() => undefined));
    world.calls.record('publish', session, startMs, code);
    if (code !== 'ok') return world.pause(RETRY_MS);
    world.ledger.acknowledge(session, author);
    n += 1;
  };
  return () => world.repeat(periodMs, publish);
}

/** Refreshes a login again and again, on any node, as a client that keeps only its newest token. */
export async function refresher(world: World, name: string): Promise<() => Promise<void>> {
  let token = (await createLogin(world.anyNode())).refresh_token;
  const once = async () => {
    const startMs = performance.now();
    const answer = await refresh(world.anyNode(), token, PATIENCE_MS).catch(() => undefined);
    if (answer?.status === LOGGED_OUT) {
      world.ledger.find('logged out', `${name}: ${answer.body.code}`);
      const again = await createLogin(world.anyNode()).catch(() => undefined);
      token = again?.refresh_token ?? token;
      return;
    }
    const code = httpCode(answer);
    world.calls.record('refresh', name, startMs, code);
    if (code !== 'ok') await world.pause(RETRY_MS);
    token = answer?.body.refresh_token ?? token;
  };
  return () => world.repeat(REFRESH_EVERY_MS, once);
}

function httpCode(answer: { status: number; body: { code?: string } } | undefined): string {
  if (answer === undefined) return 'no_answer';
  return answer.status < 300 ? 'ok' : (answer.body.code ?? String(answer.status));
}
