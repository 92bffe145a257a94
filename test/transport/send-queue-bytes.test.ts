import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { startGateway } from '../../src/gateway.js';
import { textFrame } from '../../src/transport/frame.js';
import { RawClient } from '../support/raw-client.js';
import { silent } from '../support/silent.js';

const LIMIT = 1_048_576;
/** For a machine that has much else to do. */
const POLL = { timeout: 10_000 };

/** A gateway as it is put together from its settings, in memory. @returns connects a client; with the gateway's socket */
async function start(): Promise<() => Promise<{ client: RawClient; socket: Socket }>> {
  const flags = {
    host: '127.0.0.1',
    port: '0',
    internalPort: '0',
    auth: 'anonymous',
    sendQueueBytes: `${LIMIT}`,
    messageBurst: '100000',
  };
  const { config } = loadConfig({ env: {}, flags, defaults: {} });
  const gateway = await startGateway(config, { log: silent, page: false, openRights: true });
  onTestFinished(() => gateway.close());
  const accepted: Socket[] = [];
  const onSocket = (message: unknown) => void accepted.push((message as { socket: Socket }).socket);
  subscribe('net.server.socket', onSocket);
  onTestFinished(() => void unsubscribe('net.server.socket', onSocket));
  return async () => {
    const client = await RawClient.connect(`ws://${gateway.address}/v1/connect`);
    return { client, socket: accepted.at(-1) as Socket };
  };
}

it('a subscriber that takes nothing lags from half its limit on, is not cut, and delays nobody', async () => {
  const connect = await start();
  const owner = await connect();
  const stalled = await connect();
  const other = await connect();
  for (const { client } of [owner, stalled, other]) await client.subscribe('s');
  // As if the kernel took nothing more, so that no buffer of its own blurs the count.
  stalled.socket.cork();
  const data = 'x'.repeat(LIMIT / 64);
  for (let sent = 0; sent < 4 * LIMIT; sent += 8 * data.length) {
    await Promise.all(Array.from({ length: 8 }, () => owner.client.request({ type: 'send', session_id: 's', data })));
  }
  await expect.poll(() => other.client.all('message').length, POLL).toBe(256);
  expect(stalled.socket.writableLength).toBeGreaterThan(LIMIT / 2);
  expect(stalled.socket.writableLength).toBeLessThan(LIMIT * 0.75);
  stalled.socket.uncork();
  await stalled.client.next('lagged');
  expect(stalled.client.closed).toBeUndefined();
});

it('a client that asks and takes no answer is cut at its limit, not before', async () => {
  const { client, socket } = await (await start())();
  socket.cork();
  const ping = { type: 'ping', id: 'x'.repeat(100) };
  const answer = textFrame(JSON.stringify({ ...ping, type: 'pong' }));
  const ask = (bytes: number) => {
    for (let asked = 0; asked < bytes; asked += answer.length) client.send(ping);
  };
  ask(LIMIT * 0.9);
  await expect.poll(() => socket.writableLength, POLL).toBeGreaterThanOrEqual(LIMIT * 0.9);
  ask(LIMIT * 0.2);
  await expect.poll(() => socket.writableLength, POLL).toBeGreaterThan(LIMIT);
  socket.uncork();
  await expect.poll(() => client.closed, POLL).toMatchObject({ code: 4103 });
});
