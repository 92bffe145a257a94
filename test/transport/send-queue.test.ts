import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { frameText } from '../../src/session/frame-encoder.js';
import type { Subscriber } from '../../src/session/subscriber.js';
import { frameEncoder, textFrame } from '../../src/transport/frame.js';
import { type Client, clientFrame, connected, startGateway, until, upgradeHead } from './gateway.js';

const { plain } = frameEncoder(0);
const MIB = 1024 * 1024;
const padding = textFrame(JSON.stringify({ type: 'pong', id: 'x'.repeat(MIB) }));

async function subscribed(maxQueueBytes: number): Promise<{ client: Client; subscriber: Subscriber }> {
  const { port, sessions } = await startGateway({ limits: { maxQueueBytes } });
  const client = await connected(port);
  await client.ask({ type: 'subscribe', session_id: 's' });
  const subscriber = sessions.subscribers.get('s');
  if (subscriber === undefined) throw new Error('not subscribed');
  return { client, subscriber };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Fills the peer's buffers until something stays in the queue. */
async function stall({ client, subscriber }: { client: Client; subscriber: Subscriber }): Promise<void> {
  client.socket.pause();
  for (let quiet = 0; quiet < 20; ) {
    if (subscriber.queuedBytes === 0) subscriber.sendFrames(padding);
    await turn();
    quiet = subscriber.queuedBytes === 0 ? 0 : quiet + 1;
  }
}

describe('the send queue', () => {
  it('keeps the order of calls, whichever way they go', async () => {
    const { client, subscriber } = await subscribed(8 * MIB);
    for (let i = 0; i < 100; i += 1) {
      subscriber.send({ type: 'pong', id: `a${i}` });
      subscriber.sendFrames(plain(frameText('{"type":"pong"', `,"id":"b${i}"}`)));
    }
    for (let i = 0; i < 100; i += 1) {
      expect(await client.next()).toMatchObject({ id: `a${i}` });
      expect(await client.next()).toMatchObject({ id: `b${i}` });
    }
  });

  it('may hold its limit, and with one byte more the connection is closed', async () => {
    const stalled = await subscribed(8 * MIB);
    await stall(stalled);
    const { subscriber } = stalled;
    subscriber.sendFrames(Buffer.alloc(8 * MIB - subscriber.queuedBytes));
    expect(subscriber.queuedBytes).toBe(8 * MIB);
    expect(subscriber.open).toBe(true);
    subscriber.sendFrames(Buffer.alloc(1));
    expect(subscriber.open).toBe(false);
  });

  it('tells in a later turn that it is empty, also when it was so before', async () => {
    const { subscriber } = await subscribed(8 * MIB);
    await until(() => subscriber.queuedBytes === 0);
    let told = 0;
    subscriber.onDrained(() => (told += 1));
    expect(told).toBe(0);
    await until(() => told > 0);
    await turn();
    expect(told).toBe(1);
    subscriber.onDrained(() => subscriber.onDrained(() => (told += 1)));
    await turn();
    expect(told).toBe(1);
    await turn();
    expect(told).toBe(2);
  });

  it('tells when it is empty again, each once and one after the other, without listeners', async () => {
    const stalled = await subscribed(64 * MIB);
    await stall(stalled);
    const { client, subscriber } = stalled;
    const told: number[] = [];
    const queued: number[] = [];
    for (let i = 0; i < 200; i += 1) {
      subscriber.onDrained(() => {
        queued.push(subscriber.queuedBytes);
        told.push(i);
        // The others wait for this one's bytes too.
        if (i % 50 === 0) for (let n = 0; n < 8; n += 1) subscriber.sendFrames(padding);
      });
    }
    await turn();
    expect(told).toEqual([]);
    client.socket.resume();
    await until(() => told.length === 200);
    expect(told).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(new Set(queued)).toEqual(new Set([0]));
    await turn();
    expect(told).toHaveLength(200);
  });

  it('tells nothing once the connection is closed, or gone', async () => {
    for (const end of ['close', 'terminate'] as const) {
      const stalled = await subscribed(64 * MIB);
      await stall(stalled);
      const { client, subscriber } = stalled;
      let told = 0;
      const again = () => {
        told += 1;
        subscriber.onDrained(again);
      };
      subscriber.onDrained(again);
      if (end === 'terminate') client.socket.terminate();
      else (subscriber as unknown as { close(reason: string): void }).close('revoked');
      await until(() => !subscriber.open);
      client.socket.resume();
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(told).toBe(0);
    }
  });

  it('takes nothing more after the peer has said that it closes', async () => {
    const { port, sessions } = await startGateway();
    // Half open, it keeps the closing handshake from ending.
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    let received = Buffer.alloc(0);
    socket.on('data', (data: Buffer) => (received = Buffer.concat([received, data])));
    socket.write(upgradeHead());
    socket.write(clientFrame(1, Buffer.from('{"type":"subscribe","session_id":"s"}')));
    await until(() => received.includes('subscribe_ack'));
    const close = Buffer.from([0x88, 0x02, 0x03, 0xe8]);
    socket.write(clientFrame(8, close.subarray(2)));
    await until(() => received.includes(close));
    const subscriber = sessions.subscribers.get('s');
    subscriber?.sendFrames(textFrame('{"type":"pong"}'));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(received.subarray(-close.length)).toEqual(close);
    // A write to a stream that has ended would have cut it.
    expect(subscriber?.open).toBe(true);
  });

  it('takes nothing more behind the close frame, also while that waits for a peer that reads nothing', async () => {
    const stalled = await subscribed(64 * MIB);
    await stall(stalled);
    const { client, subscriber } = stalled;
    const waiting = subscriber.queuedBytes;
    client.socket.close(1000);
    await until(() => subscriber.queuedBytes > waiting);
    const withCloseFrame = subscriber.queuedBytes;
    subscriber.sendFrames(padding);
    subscriber.send({ type: 'pong' });
    await turn();
    expect(subscriber.queuedBytes).toBe(withCloseFrame);
    client.socket.terminate();
  });

  it('is still written to a peer that hangs up and reads on, and then the connection ends', async () => {
    const { port, sessions } = await startGateway({ limits: { maxQueueBytes: 64 * MIB } });
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    let received = 0;
    socket.on('data', ({ length }: Buffer) => (received += length));
    socket.write(upgradeHead());
    socket.write(clientFrame(1, Buffer.from('{"type":"subscribe","session_id":"s"}')));
    await until(() => sessions.subscribers.has('s'));
    const subscriber = sessions.subscribers.get('s') as Subscriber;
    socket.pause();
    let sent = 0;
    for (; subscriber.queuedBytes < MIB; sent += padding.length) {
      subscriber.sendFrames(padding);
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.end();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(sessions.departures).toHaveLength(0);
    socket.resume();
    await until(() => sessions.departures.length === 1);
    await until(() => socket.readableEnded);
    expect(received).toBeGreaterThan(sent);
  });
});
