import { once } from 'node:events';
import { expect, it } from 'vitest';
import { frameText } from '../../src/session/frame-encoder.js';
import { frameEncoder } from '../../src/transport/frame.js';
import { connected, LIMITS, rawSocket, startGateway, until, upgradeHead } from './gateway.js';

const HEAD = '{"type":"message","session_id":"s","offset":1,"at":1';
const textOf = (data: string) => frameText(HEAD, Buffer.from(`,"data":${JSON.stringify(data)}}`));
const { plain, compressed } = frameEncoder(100);

/** A gateway that compresses, and a subscriber for each session of its connections. */
async function startCompressing(compressAboveBytes = 100) {
  const { port, sessions } = await startGateway({ limits: { compressAboveBytes } });
  return {
    port,
    sessions,
    async subscribed(session_id: string, perMessageDeflate: object | boolean) {
      const client = await connected(port, { perMessageDeflate });
      await client.ask({ type: 'subscribe', session_id });
      const subscriber = sessions.subscribers.get(session_id);
      if (subscriber === undefined) throw new Error('not subscribed');
      return { client, subscriber };
    },
  };
}

it('is for those who negotiate it; the others get the same message as it is', async () => {
  const { subscribed } = await startCompressing();
  const able = await subscribed('able', true);
  const unable = await subscribed('unable', false);
  expect([able.subscriber.compresses, unable.subscriber.compresses]).toEqual([true, false]);
  // Each compressed frame stands alone: no context is taken over from the one before.
  for (const text of ['über '.repeat(1000), 'über '.repeat(20_000)]) {
    const small = compressed(textOf(text));
    expect(small?.length).toBeLessThan(text.length / 10);
    able.subscriber.sendFrames(Buffer.concat([small ?? Buffer.alloc(0), plain(textOf('short'))]));
    able.subscriber.send({ type: 'pong' });
    unable.subscriber.sendFrames(plain(textOf(text)));
    expect(await able.client.next()).toMatchObject({ type: 'message', data: text });
    expect(await able.client.next()).toMatchObject({ type: 'message', data: 'short' });
    expect(await able.client.next()).toEqual({ type: 'pong' });
    expect(await unable.client.next()).toMatchObject({ type: 'message', data: text });
  }
});

it('is not negotiated where it is off, nor with a window smaller than that of the others', async () => {
  expect((await (await startCompressing(0)).subscribed('s', true)).subscriber.compresses).toBe(false);
  const { subscribed, port } = await startCompressing();
  const { client, subscriber } = await subscribed('s', { serverMaxWindowBits: 10 });
  expect(subscriber.compresses).toBe(false);
  expect(client.socket.extensions).toBe('');
  const socket = await rawSocket(port);
  socket.write(upgradeHead('Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n'));
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toContain('permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n');
});

it('works in the other direction too, within the limit on payloads: 1009', async () => {
  const { subscribed, sessions } = await startCompressing();
  const { client } = await subscribed('s', { threshold: 0 });
  for (let i = 0; i < 3; i += 1) {
    client.send({ type: 'send', session_id: 's', data: 'x'.repeat(LIMITS.maxPayloadBytes - 100) });
    expect(await client.next()).toMatchObject({ type: 'send_ack' });
  }
  client.send(' '.repeat(100 * LIMITS.maxPayloadBytes));
  expect(await client.closed()).toMatchObject({ code: 1009 });
  await until(() => sessions.departures.length === 1);
});
