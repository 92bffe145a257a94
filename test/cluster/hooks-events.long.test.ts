import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { application, hooked, resetAnswers } from './hooked.js';
import { codeOf, newSession, own, useCluster, watch } from './use-cluster.js';

describe('the application behind three nodes', () => {
  const cluster = useCluster(() => hooked('--authorize-ttl-ms', '1000'));

  test('is told of every change, in order, also when it was away and a node died', async () => {
    const session = newSession();
    const told = () =>
      application
        .callsOf('/events')
        .filter(({ body }) => body['session_id'] === session)
        .map(({ body }) => String(body['type']));
    await application.stop();
    const owner = await cluster().connect(0);
    // Without the application nobody gets a right that no rule gives.
    expect(codeOf(await owner.request({ type: 'subscribe', session_id: session }))).toBe('application_unavailable');
    await application.start();
    await expect
      .poll(async () => codeOf(await owner.request({ type: 'subscribe', session_id: session })), { timeout: 10_000 })
      .toBe('subscribe_ack');
    application.answers.set('/events', (_call, response) => void response.destroy());
    const token = owner.all('subscribe_ack').at(-1)?.reconnect_token ?? '';
    owner.terminate();
    const back = await cluster().connect(1);
    await own(back, session, { reconnect_token: token });
    const watcher = await cluster().connect(2);
    await watch(watcher, session);
    await watcher.request({ type: 'signal', session_id: session, data: 'stop' });
    await cluster().node(0).kill();
    await back.release(session);
    await sleep(500);
    resetAnswers();
    await expect
      .poll(() => unique(told()), { timeout: 20_000 })
      .toEqual(['session.owned', 'session.held', 'session.reclaimed', 'session.signal', 'session.released']);
    const calls = application.callsOf('/events').filter(({ body }) => body['session_id'] === session);
    expect(calls.every(({ genuine, id, body }) => genuine && id === body['id'])).toBe(true);
  }, 60_000);
});

/** Deliveries are at least once: repetitions are dropped, order stays. */
function unique(types: readonly string[]): string[] {
  return [...new Set(types)];
}
