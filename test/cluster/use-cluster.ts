import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { SessionReport } from '../../src/protocol/http.js';
import type { ServerMessage, SubscribeAck } from '../../src/protocol/messages.js';
import { type ClusterOptions, GatewayCluster } from '../support/cluster.js';
import { type GatewayProcess, SECRETS } from '../support/gateway-process.js';
import { missingHaproxy } from '../support/haproxy.js';
import { type RawClient, tokenOf } from '../support/raw-client.js';

/** Why tests with HAProxy cannot run here. */
export const noHaproxy = await missingHaproxy();

/** A test's name, with the reason when it has to be skipped. */
export const withHaproxy = (name: string) => (noHaproxy === undefined ? name : `${name} (skipped: ${noHaproxy})`);

/**
 * One cluster for all tests of a file. After each test its connections are cut, whatever it broke is brought back, and
 * the test fails when a node ended by itself or a recorded history breaks an invariant.
 */
export function useCluster(options: ClusterOptions | (() => Promise<ClusterOptions>) = {}): () => GatewayCluster {
  let cluster: GatewayCluster | undefined;
  const current = () => {
    if (cluster === undefined) throw new Error('the cluster is started before the first test, not before');
    return cluster;
  };

  beforeAll(async () => {
    cluster = await GatewayCluster.start(typeof options === 'function' ? await options() : options);
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.error(current().logs());
    try {
      current().endTest();
    } finally {
      await current().heal();
    }
  });

  afterAll(() => cluster?.stop());

  return current;
}

let sessions = 0;

/** A session id that no other test uses. */
export function newSession(namespace = 'doc'): string {
  sessions += 1;
  return `${namespace}:${process.pid}-${sessions}`;
}

/** An attempt id as a client makes it. */
export function newAttempt(): string {
  return crypto.randomUUID();
}

/** Subscribes and expects to become the owner. */
export async function own(
  client: RawClient,
  sessionId: string,
  rest: { reconnect_token?: string; attempt_id?: string } = {},
): Promise<{ token: string; epoch: number }> {
  const ack = await client.subscribe(sessionId, rest);
  expect(ack, sessionId).toMatchObject({ owner: true, state: 'owned' });
  return { token: tokenOf(ack), epoch: ack.owner_epoch };
}

/** Subscribes without claiming. */
export async function watch(client: RawClient, sessionId: string): Promise<SubscribeAck> {
  return client.subscribe(sessionId, { claim: 'never' });
}

/** What a connection saw of a session, as `state reason` in order. */
export function seen(client: RawClient, sessionId: string): string[] {
  return client.ownership(sessionId).map(({ state, reason }) => `${state} ${reason}`);
}

/** The error code of an answer; its type where it is none. */
export function codeOf(message: ServerMessage): string {
  return message.type === 'error' ? message.code : message.type;
}

/** A session as the application's backend sees it through that node. */
export async function inspect(node: GatewayProcess, sessionId: string): Promise<SessionReport> {
  const { HOLDFAST_API_KEY: key } = SECRETS;
  const response = await fetch(`${node.url}/v1/sessions/${sessionId}`, { headers: { authorization: `Bearer ${key}` } });
  expect(response.status).toBe(200);
  return (await response.json()) as SessionReport;
}
