/** Who publishes to each kind of server, at the least cost for this side. */
import { Agent, request } from 'node:http';
import { SECRETS } from '../test/support/gateway-process.js';
import { CountingSocket } from './counting-socket.js';
import { maskedFrame } from './masked-frame.js';

export type Kind = 'relay' | 'socket.io' | 'holdfast';

/** How messages get to the server: one frame each, by POST, or several in one frame or POST. */
export interface Route {
  kind: Kind;
  port: number;
  via: 'frame' | 'post';
  /** Messages of one frame or POST. */
  batch: number;
}

/** What all subscribers of this process follow; another audience's may be held for its owner yet. */
const SESSION = `bench:room-${process.pid}`;
/** What is said. */
export const DATA = 'x'.repeat(200);
/** A relay's message is as long as holdfast's frame: it would have to carry session, offset and time, too. */
const MESSAGE = JSON.stringify({
  type: 'message',
  session_id: SESSION,
  offset: 100_000,
  at: Date.now(),
  owner_epoch: Date.now() * 1000,
  data: DATA,
});

export interface Publisher {
  /** @param times frames or POSTs */
  publish(times: number): void;
  close(): void;
}

/** A POST of a body, again and again. */
export class Poster {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 8 });
  readonly #port: number;
  readonly #path: string;

  constructor(port: number, path: string) {
    this.#port = port;
    this.#path = path;
  }

  /** Resolves when it was answered. */
  post(body: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          agent: this.#agent,
          port: this.#port,
          host: '127.0.0.1',
          path: this.#path,
          method: 'POST',
          headers: {
            authorization: `Bearer ${SECRETS.HOLDFAST_API_KEY}`,
            'content-type': 'application/json',
            'content-length': body.length,
          },
        },
        (response) => {
          response.resume();
          response.once('end', resolve);
          if (response.statusCode !== 200) reject(new Error(`POST answered ${response.statusCode}`));
        },
      );
      sent.once('error', reject);
      sent.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function poster(port: number, path: string, body: string): Publisher {
  const posts = new Poster(port, path);
  const bytes = Buffer.from(body);
  return {
    publish(times) {
      for (let index = 0; index < times; index++) void posts.post(bytes);
    },
    close: () => posts.close(),
  };
}

async function sender(port: number, path: string, text: string, greet: (socket: CountingSocket) => Promise<void>) {
  const socket = new CountingSocket();
  await socket.open(port, path);
  await greet(socket);
  socket.count(() => {});
  const frame = maskedFrame(text);
  return {
    publish: (times: number) => socket.write(Buffer.concat(Array<Buffer>(times).fill(frame))),
    close: () => socket.cut(),
  };
}

export async function greetSocketIo(socket: CountingSocket): Promise<void> {
  await socket.next((text) => text.startsWith('0'));
  socket.write(maskedFrame('40'));
  await socket.next((text) => text.startsWith('40'));
}

/** To `SESSION` unless it names another. */
export function subscribeFrame(subscription: object): Buffer {
  return maskedFrame(JSON.stringify({ type: 'subscribe', session_id: SESSION, ...subscription }));
}

/** @returns the position of the acknowledgement */
export async function subscribe(socket: CountingSocket, subscription: object) {
  const answer = socket.next((text) => /^{"type":"(subscribe_ack|error)"/.test(text));
  socket.write(subscribeFrame(subscription));
  const text = await answer;
  if (text.startsWith('{"type":"error"')) throw new Error(text);
  return (JSON.parse(text) as { position: { epoch: string; offset: number } }).position;
}

export function openPublisher({ kind, port, via, batch }: Route): Publisher | Promise<Publisher> {
  const several = <T>(one: T): T[] => Array<T>(batch).fill(one);
  switch (kind) {
    case 'relay': {
      const body = batch === 1 ? MESSAGE : JSON.stringify(several(MESSAGE));
      return via === 'post' ? poster(port, '/', body) : sender(port, '/pub', body, async () => {});
    }
    case 'socket.io': {
      const event = batch === 1 ? ['publish', DATA] : ['publish_all', several(DATA)];
      const path = '/socket.io/?EIO=4&transport=websocket&role=pub';
      return sender(port, path, `42${JSON.stringify(event)}`, greetSocketIo);
    }
    case 'holdfast': {
      if (via === 'post') {
        const messages = several({ session_id: SESSION, data: DATA });
        return poster(port, '/v1/messages', JSON.stringify({ messages }));
      }
      const send = JSON.stringify({ type: 'send', session_id: SESSION, data: DATA });
      return sender(port, '/v1/connect', send, async (socket) => void (await subscribe(socket, {})));
    }
  }
}
