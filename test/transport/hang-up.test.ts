import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { TurnQueue } from '../../src/lib/turn-queue.js';
import { hangUps } from '../../src/transport/hang-up.js';
import { rawSocket, startGateway, until, upgradeHead } from './gateway.js';

/** A server whose connections end when the test does what they ask for. */
async function startServer() {
  const work: (() => void)[] = [];
  const endInTurn = hangUps({ add: (closing) => void work.push(closing) });
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  const opened: { stream: Socket; closedWith?: number }[] = [];
  new WebSocketServer({ server }).on('connection', (socket: WebSocket, { socket: stream }: IncomingMessage) => {
    endInTurn(stream);
    const it: (typeof opened)[number] = { stream };
    socket.on('close', (code) => (it.closedWith = code));
    opened.push(it);
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connected = async (count: number) => {
    const clients = Array.from({ length: count }, () => connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
    for (const client of clients) {
      onTestFinished(() => void client.destroy());
      client.write(upgradeHead());
    }
    await until(() => opened.length === clients.length);
    return clients;
  };
  return { work, opened, connected };
}

/** One that hung up with something left for it that it does not read. */
async function hungUpUnread() {
  const { work, opened, connected } = await startServer();
  const [client] = await connected(1);
  const { stream } = opened[0] as (typeof opened)[number];
  client?.pause();
  while (stream.writableLength === 0) stream.write(Buffer.alloc(1_048_576));
  client?.end();
  await until(() => work.length === 1);
  return { work, opened, stream };
}

it('many that hang up at once are closed one after the other, each as ws would', async () => {
  const { work, opened, connected } = await startServer();
  const clients = await connected(20);
  const ends = opened.map(({ stream }) => vi.spyOn(stream, 'end'));
  for (const client of clients) client.end();
  await until(() => work.length === clients.length);
  expect(opened.filter(({ stream }) => stream.destroyed)).toEqual([]);
  for (const [index, closing] of work.entries()) {
    closing();
    await until(() => opened.filter(({ closedWith }) => closedWith === 1006).length === index + 1);
  }
  for (const end of ends) expect(end).not.toHaveBeenCalled();
});

it('one that is gone by its turn, with something left for it, is not ended again', async () => {
  const { work, opened, stream } = await hungUpUnread();
  stream.destroy();
  await until(() => opened[0]?.closedWith !== undefined);
  expect(() => work[0]?.()).not.toThrow();
});

it('one that reads nothing of what is left for it is closed after a while', async () => {
  const { work, opened, stream } = await hungUpUnread();
  const setTimeout = vi.spyOn(stream, 'setTimeout');
  work[0]?.();
  expect(setTimeout).toHaveBeenCalledWith(5_000, expect.any(Function));
  expect(opened[0]?.closedWith).toBeUndefined();
  stream.emit('timeout');
  await until(() => opened[0]?.closedWith === 1006);
});

it('is how a gateway closes them', async () => {
  const add = vi.spyOn(TurnQueue.prototype, 'add');
  onTestFinished(() => add.mockRestore());
  const { port, reports } = await startGateway();
  const client = await rawSocket(port);
  client.write(upgradeHead());
  await once(client, 'data');
  client.end();
  await until(() => reports.counts.has('closed:1006'));
  // Once for the end, and once for what follows it.
  expect(add).toHaveBeenCalledTimes(2);
});
