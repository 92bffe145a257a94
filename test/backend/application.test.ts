import { describe, expect, test } from 'vitest';
import { HookedApplication } from '../../src/backend/application.js';
import { HoldfastError } from '../../src/protocol/errors.js';
import { MemoryOutbox } from '../../src/store/memory/outbox.js';
import { FakeClock } from '../support/fake-clock.js';
import { answer, hookClient, hookServer } from './hook-server.js';

const CALLER = { sessionId: 'chat:1', connectionId: 'c_1', principal: 'alice', loginId: 'login_1' };
const MESSAGE = { ...CALLER, ownerEpoch: 7, payload: { data: { text: 'hi' } }, requestId: 'req_1' };
const TTL_MS = 30_000;

async function applicationThat(status: number, body: unknown) {
  const server = await hookServer(answer(status, body));
  const { hook } = hookClient(server.url);
  const application = new HookedApplication({ authorize: hook, message: hook, authorizeTtlMs: TTL_MS });
  return { application, server };
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  const error: unknown = await call.catch((error: unknown) => error);
  return error instanceof HoldfastError ? error.code : 'no error';
}

describe('the application is asked', () => {
  test('what a principal may do', async () => {
    const { application, server } = await applicationThat(200, { allow: ['watch', 'own'], ttl_ms: 5_000 });
    expect(await application.authorize(CALLER)).toEqual({ allow: ['watch', 'own'], ttlMs: 5_000 });
    await application.authorize({ ...CALLER, loginId: undefined });
    const fields = { type: 'authorize', session_id: 'chat:1', principal: 'alice', connection_id: 'c_1' };
    expect(server.received.map(({ body }) => body)).toEqual([{ ...fields, login_id: 'login_1' }, fields]);
    const [first, second] = server.received.map(({ headers }) => headers['webhook-id']);
    expect(first).not.toBe(second);
  });

  test.each([
    [{ allow: [] }, { allow: [], ttlMs: TTL_MS }],
    [
      { allow: ['own'], ttl_ms: 86_400_000 },
      { allow: ['own'], ttlMs: 3_600_000 },
    ],
    [
      { allow: ['own'], ttl_ms: 0 },
      { allow: ['own'], ttlMs: 0 },
    ],
  ])('and %j is an answer', async (body, rights) => {
    const { application } = await applicationThat(200, body);
    expect(await application.authorize(CALLER)).toEqual(rights);
  });

  test.each<[number, unknown]>([
    [200, '<html>'],
    [200, 'null'],
    [200, []],
    [200, {}],
    [200, { allow: 'own' }],
    [200, { allow: [1] }],
    [200, { allow: Array.from({ length: 17 }, () => 'own') }],
    [200, { allow: ['own'], ttl_ms: -1 }],
    [200, { allow: ['own'], ttl_ms: '5' }],
    [201, { allow: ['own'] }],
    [302, { allow: ['own'] }],
    [500, { allow: ['own'] }],
  ])('and %i %j is none', async (status, body) => {
    const { application } = await applicationThat(status, body);
    expect(await codeOf(application.authorize(CALLER))).toBe('application_unavailable');
  });

  test('about a message, under the same id each time', async () => {
    const { application, server } = await applicationThat(200, { accept: true });
    expect(await application.accept(MESSAGE)).toEqual({ data: { text: 'hi' } });
    expect(await application.accept({ ...MESSAGE, payload: { bytes: 'aGk=' } })).toEqual({ bytes: 'aGk=' });
    const [first, second] = server.received;
    const common = { type: 'message', session_id: 'chat:1', principal: 'alice', connection_id: 'c_1' };
    expect(first?.body).toEqual({ ...common, login_id: 'login_1', owner_epoch: 7, data: { text: 'hi' } });
    expect(second?.body).toEqual({ ...common, login_id: 'login_1', owner_epoch: 7, bytes: 'aGk=' });
    expect([first, second].map((hook) => hook?.headers['webhook-id'])).toEqual(['req_1', 'req_1']);
  });

  test.each([
    [{ accept: true, data: null }, { data: null }],
    [{ accept: true, data: [1] }, { data: [1] }],
    [{ accept: true, bytes: '' }, { bytes: '' }],
  ])('and may change it: %j', async (body, payload) => {
    const { application } = await applicationThat(200, body);
    expect(await application.accept(MESSAGE)).toEqual(payload);
  });

  test('and may reject it', async () => {
    const { application } = await applicationThat(200, { accept: false, reason: 'ä'.repeat(300) });
    const rejected = application.accept(MESSAGE);
    await expect(rejected).rejects.toMatchObject({ code: 'message_rejected', message: 'ä'.repeat(256) });
    const { application: silent } = await applicationThat(200, { accept: false });
    expect(await codeOf(silent.accept(MESSAGE))).toBe('message_rejected');
  });

  test.each<[number, unknown]>([
    [200, { accept: 'yes' }],
    [200, { accept: true, bytes: 'not base64' }],
    [200, { accept: true, bytes: 'aGk=', data: 1 }],
    // What the gateway could not pass on, which is not the owner's fault.
    [200, { accept: true, data: JSON.parse('['.repeat(200) + ']'.repeat(200)) }],
    [204, ''],
    [400, { accept: false }],
    [503, { accept: true }],
  ])('and %i %j decides nothing', async (status, body) => {
    const { application } = await applicationThat(status, body);
    await expect(application.accept(MESSAGE)).rejects.toMatchObject({
      code: 'application_unavailable',
      retryable: true,
      retryAfterMs: 1_000,
    });
  });
});

describe('where the operator has named no hook', () => {
  test('nobody gets rights, messages pass, and a signal is told when there are events', async () => {
    const outbox = new MemoryOutbox({ clock: new FakeClock(), sessionIdleMs: 0 });
    const silent = new HookedApplication({ authorizeTtlMs: TTL_MS });
    expect(await silent.authorize(CALLER)).toEqual({ allow: [], ttlMs: TTL_MS });
    expect(await silent.accept(MESSAGE)).toEqual(MESSAGE.payload);
    await silent.signalled(CALLER, { data: 'stop' });
    const telling = new HookedApplication({ outbox, authorizeTtlMs: TTL_MS });
    await telling.signalled(CALLER, { data: 'stop' });
    await outbox.acquire(0, 'reader', 1_000);
    expect(await outbox.read(0, 'reader', 10, false)).toMatchObject([
      {
        type: 'session.signal',
        subject: 'chat:1',
        fields: {
          session_id: 'chat:1',
          namespace: 'chat',
          principal: 'alice',
          connection_id: 'c_1',
          login_id: 'login_1',
          data: 'stop',
        },
      },
    ]);
  });
});
