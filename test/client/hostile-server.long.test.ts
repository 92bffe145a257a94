import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type WebSocket as Peer, WebSocket, WebSocketServer } from 'ws';
import { type Client, createClient } from '../../src/client/index.js';

let client: Client | undefined;
let server: { close(): void } | undefined;

afterEach(() => {
  client?.close();
  server?.close();
});

async function gatewayThat(greets: (peer: Peer) => void): Promise<string> {
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'holdfast.v1' });
  server = {
    close: () => {
      for (const peer of sockets.clients) peer.terminate();
      sockets.close();
    },
  };
  sockets.on('connection', greets);
  await new Promise((resolve) => sockets.on('listening', resolve));
  return `ws://127.0.0.1:${(sockets.address() as { port: number }).port}/`;
}

async function portThat(answers: (socket: Socket) => void): Promise<string> {
  const open = new Set<Socket>();
  const listening: Server = createServer((socket) => {
    open.add(socket.on('error', () => {}));
    answers(socket);
  });
  server = {
    close: () => {
      for (const socket of open) socket.destroy();
      listening.close();
    },
  };
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  return `ws://127.0.0.1:${(listening.address() as { port: number }).port}/`;
}

function connect(url: string, connectTimeoutMs = 10_000) {
  const seen = { errors: [] as string[], attempts: 0, startedMs: performance.now() };
  client = createClient({ url, WebSocket, connectTimeoutMs });
  client.on('error', ({ code }) => seen.errors.push(code));
  client.on('connection', ({ name }) => {
    if (name === 'connecting') seen.attempts++;
  });
  client.session('s:1');
  return seen;
}

/** It goes on trying, and less and less often. */
async function expectPatience(seen: ReturnType<typeof connect>): Promise<void> {
  await expect.poll(() => seen.attempts, { timeout: 10_000 }).toBeGreaterThan(2);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(seen.attempts).toBeLessThan(15 + (performance.now() - seen.startedMs) / 1_000);
}

describe('over real sockets', () => {
  it.each<[string, (peer: Peer) => void]>([
    ['closes at once', (peer) => peer.close(1011)],
    ['breaks off at once', (peer) => peer.terminate()],
    ['sends garbage and breaks off', (peer) => peer.send('['.repeat(2 ** 16), () => peer.terminate())],
  ])('a gateway that %s is not run at', async (_name, greets) => {
    await expectPatience(connect(await gatewayThat(greets)));
  });

  it.each<[string, (socket: Socket) => void]>([
    ['is silent', () => {}],
    ['speaks something else', (socket) => socket.end('220 mail.test ESMTP\r\n')],
    ['resets', (socket) => socket.resetAndDestroy()],
  ])('a port that %s is not run at', async (_name, answers) => {
    await expectPatience(connect(await portThat(answers), 50));
  });

  it('ten thousand wrong frames are one error, and the connection opens all the same', async () => {
    const limits = { max_subscriptions: 1 };
    const welcome = { type: 'welcome', principal: 'alice', ping_interval_ms: 25_000, features: [], limits };
    const url = await gatewayThat((peer) => {
      for (let index = 0; index < 10_000; index++) peer.send(index % 2 === 0 ? Buffer.alloc(10) : `{"type":${index}}`);
      peer.send(JSON.stringify(welcome));
    });
    const seen = connect(url);
    await expect.poll(() => client?.connection.name, { timeout: 10_000 }).toBe('open');
    expect(seen).toMatchObject({ attempts: 1, errors: ['unexpected_answer'] });
  });
});
