import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { historyOf } from '../support/message-calls.js';
import type { RawClient } from '../support/raw-client.js';
import { application, hooked, resetAnswers } from './hooked.js';
import { codeOf, newSession, own, useCluster } from './use-cluster.js';

const ALL = ['watch', 'own', 'send', 'signal'];

describe('the application behind three nodes', () => {
  const cluster = useCluster(() => hooked('--authorize-ttl-ms', '1000'));
  const send = (client: RawClient, session: string, data: unknown, key?: string) =>
    client.request({ type: 'send', session_id: session, data, ...(key !== undefined && { idempotency_key: key }) });

  test('gives rights, and takes them away', async () => {
    const [open, closed] = [newSession(), newSession()];
    let mayOwn = true;
    application.on('/authorize', ({ body }) =>
      body['session_id'] === open ? { allow: mayOwn ? ALL : ['watch'], ttl_ms: 1_000 } : { allow: [] },
    );
    const client = await cluster().connect(0);
    const { epoch } = await own(client, open);
    expect(codeOf(await client.request({ type: 'subscribe', session_id: closed }))).toBe('forbidden');
    expect(application.callsOf('/authorize').every(({ genuine }) => genuine)).toBe(true);
    const asked = () => application.callsOf('/authorize').filter(({ body }) => body['session_id'] === open).length;
    expect(asked()).toBe(1);

    mayOwn = false;
    expect(await client.next('ownership_lost', undefined, 5_000)).toMatchObject({
      reason: 'revoked',
      owner_epoch: epoch,
    });
    expect(codeOf(await client.request({ type: 'claim', session_id: open }))).toBe('forbidden');
  });

  test('is asked about many at once, of which the first becomes the owner, on whichever node', async () => {
    const session = newSession();
    const first = await cluster().connect(0);
    const others = await Promise.all(Array.from({ length: 12 }, (_, i) => cluster().connect(i % 3)));
    const held: ServerResponse[] = [];
    application.answers.set('/authorize', (_call, response) => void held.push(response));
    const owned = first.subscribe(session);
    await expect.poll(() => held.length, { interval: 5 }).toBe(1);
    let asked = 0;
    application.on('/authorize', () => {
      asked += 1;
      return { allow: asked % 2 === 0 ? ALL : ['watch'], ttl_ms: 60_000 };
    });
    const watched = others.map((client) => client.subscribe(session));
    await expect.poll(() => asked, { interval: 5 }).toBe(12);
    held[0]?.end(JSON.stringify({ allow: ALL, ttl_ms: 60_000 }));
    expect((await owned).owner).toBe(true);
    expect((await Promise.all(watched)).filter(({ owner }) => owner)).toEqual([]);
  });

  test('accepts, changes and rejects messages', async () => {
    const session = newSession();
    application.on('/message', ({ body }) => {
      if (body['data'] === 'bad') return { accept: false, reason: 'no bad words' };
      return body['data'] === 'shout' ? { accept: true, data: 'SHOUT' } : { accept: true };
    });
    const owner = await cluster().connect(1);
    const { epoch } = await own(owner, session);
    expect(await send(owner, session, 'fine')).toMatchObject({ type: 'send_ack', offset: 1 });
    expect(await send(owner, session, 'bad')).toMatchObject({ code: 'message_rejected', message: 'no bad words' });
    expect(await send(owner, session, 'shout')).toMatchObject({ type: 'send_ack', offset: 2 });
    const stored = (await historyOf(cluster().node(0), session)).map((it) => Reflect.get(it, 'data'));
    expect(stored).toEqual(['fine', 'SHOUT']);
    const call = application.callsOf('/message').find(({ body }) => body['session_id'] === session);
    expect(call).toMatchObject({ genuine: true, body: { owner_epoch: epoch, connection_id: owner.id, data: 'fine' } });
  });

  test.each<[string, (response: ServerResponse) => void]>([
    ['down', (response) => response.destroy()],
    ['slow', () => {}],
    ['answering garbage', (response) => response.end('<html>')],
    ['answering something else', (response) => response.end('{"accept":"yes"}')],
    ['failing', (response) => response.writeHead(500).end()],
    ['redirecting', (response) => response.writeHead(307, { location: `${application.url}/elsewhere` }).end()],
    ['answering without end', (response) => response.writeHead(200).end('x'.repeat(200_000))],
  ])('%s: a send is refused, retryable, and stored once when it works again', async (_name, fail) => {
    const session = newSession();
    const owner = await cluster().connect(0);
    await own(owner, session);
    application.answers.set('/message', (_call, response) => fail(response));
    const refused = await send(owner, session, 'x', 'key');
    expect(refused).toMatchObject({ code: 'application_unavailable', retryable: true });
    resetAnswers();
    await expect.poll(async () => codeOf(await send(owner, session, 'x', 'key')), { timeout: 10_000 }).toBe('send_ack');
    expect(await historyOf(cluster().node(1), session)).toHaveLength(1);
    expect(application.callsOf('/elsewhere')).toEqual([]);
  });

  test('away: who has rights keeps them, who has none is told to come again', async () => {
    const session = newSession();
    application.on('/authorize', () => ({ allow: ALL, ttl_ms: 1_000 }));
    const client = await cluster().connect(0);
    await own(client, session);
    application.answers.set('/authorize', (_call, response) => void response.destroy());
    await sleep(2_500);
    expect(client.all('ownership_lost')).toEqual([]);
    expect(client.all('unsubscribed')).toEqual([]);
    const other = await cluster().connect(0);
    expect(await other.request({ type: 'subscribe', session_id: session })).toMatchObject({
      code: 'application_unavailable',
      retryable: true,
    });
  });
});
