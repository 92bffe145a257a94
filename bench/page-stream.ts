/** What a gateway would say to a browser, out of frames made beforehand: what is left is the browser's work. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import type { ServerMessage } from '../src/protocol/messages.js';
import { DATA } from './publishers.js';

/** Written at once. */
const CHUNK = 500;
const SESSION = 'bench:1';

export interface PageStream {
  readonly url: string;
  stop(): Promise<void>;
}

/** What is said first, and the answers to what a client says. */
export const ANSWERS: Readonly<Record<string, ServerMessage>> = {
  welcome: {
    type: 'welcome',
    connection_id: 'c_bench',
    node: 'bench',
    principal: 'anon:bench',
    ping_interval_ms: 25_000,
    protocol_minor: 2,
    features: ['messages'],
    limits: { max_payload_bytes: 65_536, max_subscriptions: 128, messages_per_second: 50 },
  },
  subscribe: {
    type: 'subscribe_ack',
    session_id: SESSION,
    owner: false,
    state: 'free',
    owner_epoch: 0,
    rev: 0,
    grace_ms: 30_000,
    position: { epoch: '1', offset: 0 },
  },
  signal: { type: 'signal_ack', session_id: SESSION, owner: true },
};

/** The first message of a session. */
export const MESSAGE = { type: 'message', session_id: SESSION, offset: 1, at: Date.now(), owner_epoch: 1, data: DATA };

/** The first `count` messages as a server sends texts of 126 to 65 535 bytes (RFC 6455, section 5.2). */
function chunksOf(count: number): Buffer[] {
  const frames = Array.from({ length: count }, (_, index) => index + 1).flatMap((offset) => {
    const payload = Buffer.from(JSON.stringify({ ...MESSAGE, offset }));
    return [Buffer.from([0x81, 126, payload.length >> 8, payload.length & 0xff]), payload];
  });
  const perChunk = 2 * CHUNK;
  const chunks = Math.ceil(frames.length / perChunk);
  return Array.from({ length: chunks }, (_, index) =>
    Buffer.concat(frames.slice(index * perChunk, (index + 1) * perChunk)),
  );
}

/** Serves the files, and to who signals `count` messages, as fast as they are taken. */
export async function startPageStream(files: ReadonlyMap<string, Buffer>, count: number): Promise<PageStream> {
  const chunks = chunksOf(count);
  const stream = async (socket: Socket) => {
    for (const chunk of chunks) await new Promise((taken) => socket.write(chunk, taken));
  };
  const server = createServer(({ url = '' }, response) => {
    const body = files.get(url);
    const type = url.endsWith('.js') ? 'text/javascript' : 'text/html';
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': type }).end(body);
  });
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  sockets.on('connection', (webSocket: WebSocket, { socket }) => {
    webSocket.on('error', () => {});
    webSocket.send(JSON.stringify(ANSWERS['welcome']));
    webSocket.on('message', (frame: Buffer) => {
      const { type, id } = JSON.parse(frame.toString()) as { type: string; id?: string };
      const answer = ANSWERS[type];
      if (answer !== undefined) webSocket.send(JSON.stringify({ ...answer, id }));
      if (type === 'signal') void stream(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      for (const webSocket of sockets.clients) webSocket.terminate();
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}
