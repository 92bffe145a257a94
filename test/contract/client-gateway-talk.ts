/** Talks with a gateway frame by frame, and writes down what it says so that two gateways can be compared. */
import type { SocketLike } from '../../src/client/index.js';
import type { ServerMessage } from '../../src/protocol/messages.js';
import type { GatewayUnderTest } from './client-gateway-harness.js';

type Frame = Record<string, unknown>;

/** Longer than the gateway takes for what follows an answer. */
const SETTLE_MS = 25;
const ANSWER_MS = 5_000;
const OPEN = 1;
/** Differ between runs, and are told apart from one another alone. */
const NAMED = new Set(['owner_epoch', 'reconnect_token', 'epoch', 'connection_id', 'principal', 'node']);
/** Depend on time, or on the words that a gateway finds. */
const VAGUE = new Set(['until', 'at', 'message', 'retry_after_ms', 'expires_at', 'limits', 'ping_interval_ms']);

class Speaker {
  readonly socket: SocketLike;
  readonly frames: ServerMessage[] = [];
  connectionId = '';
  closed: number | undefined;
  #pongs = 0;

  constructor(gateway: GatewayUnderTest) {
    this.socket = new gateway.WebSocket(gateway.url, ['holdfast.v1']);
    this.socket.addEventListener('message', ({ data }) => {
      const frame = JSON.parse(String(data)) as ServerMessage;
      if (frame.type === 'pong') {
        this.#pongs++;
        return;
      }
      if (frame.type === 'welcome') this.connectionId = frame.connection_id;
      this.frames.push(frame);
    });
    this.socket.addEventListener('close', ({ code }) => (this.closed = code));
    this.socket.addEventListener('error', () => {});
  }

  /** Resolves with the answer, or when there cannot be one. */
  async ping(): Promise<void> {
    const { readyState = OPEN } = this.socket as { readyState?: number };
    if (this.closed !== undefined || readyState !== OPEN) return;
    const before = this.#pongs;
    this.socket.send('{"type":"ping"}');
    await until(() => this.#pongs > before || this.closed !== undefined);
  }
}

/** One script: who says what, and what everybody hears. */
export class Talk {
  readonly #gateway: GatewayUnderTest;
  readonly #speakers = new Map<string, Speaker>();
  readonly #names = new Map<string, string>();
  readonly #transcript: string[] = [];
  #requests = 0;

  constructor(gateway: GatewayUnderTest) {
    this.#gateway = gateway;
  }

  get transcript(): readonly string[] {
    return this.#transcript;
  }

  async connect(...names: string[]): Promise<void> {
    for (const name of names) {
      const speaker = new Speaker(this.#gateway);
      this.#speakers.set(name, speaker);
      await until(() => speaker.frames.length > 0);
      this.#write(`${name} connects`);
    }
  }

  /** @returns the answer */
  async say(name: string, frame: Frame): Promise<Frame> {
    const speaker = this.#speaker(name);
    const id = String(++this.#requests);
    speaker.socket.send(JSON.stringify({ id, ...frame }));
    const answer = () => speaker.frames.find((heard) => 'id' in heard && heard.id === id) as Frame | undefined;
    await until(() => answer() !== undefined || speaker.closed !== undefined);
    const answered = answer() ?? {};
    await this.settle(`${name} says ${String(frame['type'])}`);
    return answered;
  }

  /** Says nothing else in between, and waits for the close. */
  async repeat(name: string, frame: Frame, times: number): Promise<void> {
    const speaker = this.#speaker(name);
    for (let n = 0; n < times; n++) speaker.socket.send(JSON.stringify(frame));
    await until(() => speaker.closed !== undefined);
    this.#write(`${name} is closed with ${speaker.closed}`);
  }

  /** @param heardBy another one, who is told that the session is held */
  async close(name: string, heardBy: string): Promise<void> {
    this.#speaker(name).socket.close(1000);
    await this.hears(heardBy, 'disconnected');
  }

  /** As `close`, without a closing handshake. */
  async drop(name: string, heardBy: string): Promise<void> {
    this.#gateway.drop(this.#speaker(name).connectionId);
    await this.hears(heardBy, 'disconnected');
  }

  /** Writes down what has been heard once that is an `ownership` frame with this reason. */
  async hears(name: string, reason: string): Promise<void> {
    const { frames } = this.#speaker(name);
    await until(() => frames.some((frame) => frame.type === 'ownership' && frame.reason === reason));
    await this.settle(`${name} hears ${reason}`);
  }

  /** Writes down what has been heard since. */
  async settle(title: string): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    // On a busy machine that may be too soon: what was under way then comes before the answer to this.
    await Promise.all(Array.from(this.#speakers.values(), (speaker) => speaker.ping()));
    this.#write(title);
  }

  end(): void {
    for (const { socket } of this.#speakers.values()) socket.close(1000);
  }

  #write(title: string): void {
    this.#transcript.push(title);
    for (const [name, speaker] of this.#speakers) {
      // Sessions do not wait for one another, and acknowledgements and events may come in either order.
      const heard = speaker.frames.splice(0).sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
      for (const frame of heard) this.#transcript.push(`  ${name} hears ${this.#normal(frame)}`);
    }
  }

  #normal(frame: object): string {
    return JSON.stringify(sorted(frame), (key, value: unknown) => {
      if (VAGUE.has(key)) return undefined;
      return NAMED.has(key) && value !== 0 ? this.#nameOf(key, value) : value;
    });
  }

  #nameOf(key: string, value: unknown): unknown {
    if (typeof value === 'object') return value;
    const thing = `${key} ${JSON.stringify(value)}`;
    const known = this.#names.get(thing);
    if (known !== undefined) return known;
    const name = `<${key} ${this.#names.size + 1}>`;
    this.#names.set(thing, name);
    return name;
  }

  #speaker(name: string): Speaker {
    const speaker = this.#speakers.get(name);
    if (speaker === undefined) throw new Error(`${name} is not connected`);
    return speaker;
  }
}

function orderOf(frame: ServerMessage): string {
  const { session_id: sessionId = '', offset = 0 } = frame as { session_id?: string; offset?: number };
  return `${sessionId} ${frame.type} ${String(offset).padStart(9, '0')}`;
}

/** Members in the order of their names. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).map(([key, inner]) => [key, sorted(inner)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function until(condition: () => boolean): Promise<void> {
  const giveUpAtMs = Date.now() + ANSWER_MS;
  while (!condition()) {
    if (Date.now() > giveUpAtMs) throw new Error('no answer');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
