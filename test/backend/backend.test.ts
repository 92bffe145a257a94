import { expect, test } from 'vitest';
import { type BackendOptions, openBackend } from '../../src/backend/backend.js';
import { systemClock } from '../../src/lib/clock.js';
import { MemoryOutbox } from '../../src/store/memory/outbox.js';
import { silent } from '../support/silent.js';
import { answer, hookServer, onCleanup, recorded, SECRETS, until } from './hook-server.js';

const CALLER = { sessionId: 'chat:1', connectionId: 'c_1', principal: 'alice', loginId: undefined };

function backendOf(options: Partial<BackendOptions>) {
  const { told, telemetry } = recorded();
  const outbox = new MemoryOutbox({ clock: systemClock, sessionIdleMs: 0 });
  const backend = openBackend({
    secrets: SECRETS,
    timeoutMs: 500,
    concurrency: 4,
    authorizeTtlMs: 1_000,
    outbox,
    clock: systemClock,
    log: silent,
    telemetry,
    ...options,
  });
  onCleanup(() => backend.close());
  return { ...backend, outbox, told };
}

test('hooks with one URL stand and fall together, those with another do not', async () => {
  const broken = await hookServer(answer(503));
  const fine = await hookServer(answer(200));
  const { application, outbox, start, told } = backendOf({
    authorizeUrl: broken.url,
    messageUrl: broken.url,
    eventsUrl: fine.url,
  });
  for (let i = 0; i < 5; i += 1) {
    await expect(application.authorize(CALLER)).rejects.toMatchObject({ code: 'application_unavailable' });
  }
  const message = { ...CALLER, ownerEpoch: 1, payload: { data: 1 }, requestId: 'req_1' };
  await expect(application.accept(message)).rejects.toMatchObject({ code: 'application_unavailable' });
  expect(told.at(-1)).toBe('message skipped');
  start();
  await application.signalled(CALLER, { data: 'stop' });
  await until(async () => (await outbox.backlog()).waiting === 0);
  expect(fine.received.map(({ body }) => body['type'])).toEqual(['session.signal']);
});

test('events that are refused, at the URL of all hooks, cost no right and no message', async () => {
  const server = await hookServer((hook, response, request) => {
    const isEvent = hook.body['type'] === 'session.signal';
    return answer(isEvent ? 500 : 200, { allow: [], accept: true })(hook, response, request);
  });
  const { url } = server;
  const { application, start, told } = backendOf({ authorizeUrl: url, messageUrl: url, eventsUrl: url });
  start();
  const sessions = Array.from({ length: 10 }, (_, i) => `chat:${i}`);
  for (const sessionId of sessions) await application.signalled({ ...CALLER, sessionId }, { data: 'stop' });
  await until(() => told.filter((word) => word === 'events refused').length >= 5);
  expect(await application.authorize(CALLER)).toMatchObject({ allow: [] });
  const message = { ...CALLER, ownerEpoch: 1, payload: { data: 1 }, requestId: 'req_1' };
  expect(await application.accept(message)).toEqual({ data: 1 });
});

test('a URL without a secret is refused, nothing at all is not', async () => {
  expect(() => backendOf({ eventsUrl: 'http://127.0.0.1:1/', secrets: [] })).toThrow(TypeError);
  const { application, outbox, start, close } = backendOf({ secrets: [] });
  start();
  await application.signalled(CALLER, { data: 'stop' });
  expect(await outbox.backlog()).toEqual({ waiting: 0, fullest: 0, dead: 0 });
  await close();
});
