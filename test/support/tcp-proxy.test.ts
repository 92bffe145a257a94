import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TcpProxy } from './tcp-proxy.js';

let echo: Server;
let proxy: TcpProxy;
/** What reached the target. */
let arrived: string;
const clients: { socket: Socket; received: string; closed: boolean; error?: string }[] = [];

beforeEach(async () => {
  arrived = '';
  echo = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      arrived += bytes.toString();
      socket.write(bytes);
    });
  }).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  proxy = await TcpProxy.start((echo.address() as { port: number }).port);
});

afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.destroy();
  await proxy.stop();
  expect(proxy.connections).toBe(0);
  echo.close();
  await once(echo, 'close');
});

function open(): (typeof clients)[number] {
  const client: (typeof clients)[number] = { socket: connect(proxy.port, '127.0.0.1'), received: '', closed: false };
  client.socket.on('data', (bytes) => {
    client.received += bytes.toString();
  });
  client.socket.on('error', (error: NodeJS.ErrnoException) => {
    client.error = error.code ?? '';
  });
  client.socket.on('close', () => {
    client.closed = true;
  });
  clients.push(client);
  return client;
}

test('passes bytes on, and an orderly end', async () => {
  const client = open();
  const sent = 'x'.repeat(3_000_000);
  client.socket.end(sent);
  await expect.poll(() => client.closed).toBe(true);
  expect(client.received).toBe(sent);
  expect(client.error).toBeUndefined();
});

test('while paused nothing passes and nothing closes; then all of it comes', async () => {
  const client = open();
  client.socket.write('a');
  await expect.poll(() => client.received).toBe('a');
  proxy.pause();
  client.socket.end('b');
  const late = open();
  late.socket.write('c');
  await sleep(100);
  expect([arrived, client.closed, late.received]).toEqual(['a', false, '']);
  proxy.resume();
  await expect.poll(() => client.received + late.received).toBe('abc');
  await expect.poll(() => client.closed).toBe(true);
});

test('delays each way and keeps the order', async () => {
  proxy.delay(60);
  const client = open();
  const startMs = performance.now();
  client.socket.write('1');
  await sleep(10);
  proxy.delay(30);
  client.socket.write('2');
  await expect.poll(() => client.received).toBe('12');
  expect(performance.now() - startMs).toBeGreaterThan(85);
});

test('refuses new connections and leaves the open ones', async () => {
  const before = open();
  before.socket.write('a');
  await expect.poll(() => before.received).toBe('a');
  proxy.refuse();
  const refused = open();
  await expect.poll(() => refused.error).toBe('ECONNREFUSED');
  before.socket.write('b');
  await expect.poll(() => before.received).toBe('ab');
  await proxy.accept();
  const after = open();
  after.socket.write('c');
  await expect.poll(() => after.received).toBe('c');
});

test('drops one reply with its connection, after the request arrived', async () => {
  const client = open();
  const dropped = proxy.dropOnce('replies');
  client.socket.write('a');
  await dropped;
  await expect.poll(() => client.error).toBe('ECONNRESET');
  expect([arrived, client.received]).toEqual(['a', '']);
  const next = open();
  next.socket.write('b');
  await expect.poll(() => next.received).toBe('b');
});

test('drops one request, which never arrives', async () => {
  const client = open();
  const dropped = proxy.dropOnce('requests');
  client.socket.write('a');
  await dropped;
  await expect.poll(() => client.error).toBe('ECONNRESET');
  expect(arrived).toBe('');
});

test('resets every connection on demand', async () => {
  const [one, two] = [open(), open()];
  await expect.poll(() => proxy.connections).toBe(2);
  proxy.killConnections();
  await expect.poll(() => [one.error, two.error]).toEqual(['ECONNRESET', 'ECONNRESET']);
  await expect.poll(() => proxy.connections).toBe(0);
});
