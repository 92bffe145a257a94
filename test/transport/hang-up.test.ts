import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { hangUps } from '../../src/transport/hang-up.js';
import { until, upgradeHead } from './gateway.js';

it('many that hang up at once are closed one after the other, each as ws would', async () => {
  const work: (() => void)[] = [];
  const endInTurn = hangUps({ add: (closing) => void work.push(closing) });
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  const opened: { stream: Socket; socket: WebSocket; closedWith?: number }[] = [];
  new WebSocketServer({ server }).on('connection', (socket: WebSocket, { socket: stream }: IncomingMessage) => {
    endInTurn(stream);
    const it: (typeof opened)[number] = { stream, socket };
    socket.on('close', (code) => (it.closedWith = code));
    opened.push(it);
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const clients = Array.from({ length: 20 }, () => connect(port, '127.0.0.1'));
  for (const client of clients) client.write(upgradeHead());
  await until(() => opened.length === clients.length);

  for (const client of clients) client.end();
  await until(() => work.length === clients.length);
  expect(opened.filter(({ stream }) => stream.destroyed)).toEqual([]);
  for (const [index, closing] of work.entries()) {
    closing();
    await until(() => opened.filter(({ closedWith }) => closedWith === 1006).length === index + 1);
  }
});
