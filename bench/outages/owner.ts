import type { ClaimAck, ServerMessage, SubscribeAck } from '../../src/protocol/messages.js';
import { codeOf, Line, REFUSED } from './line.js';
import { RETRY_MS, type World } from './world.js';

const RETRIED = new Set(['store_unavailable', 'ownership_unconfirmed', 'session_busy', 'no_answer']);
const DROP_EVERY_MS = 1_500;

/**
 * Owns one session and sends numbered messages, each until it is acknowledged. One that drops loses its connection all
 * the time and takes its session back over another, as the protocol asks of a client.
 */
export class Owner {
  readonly #world: World;
  readonly session: string;
  readonly #periodMs: number;
  readonly #drops: boolean;
  #line: Line | undefined;
  #token = '';
  #grantedMs = 0;
  #dropAtMs = Number.POSITIVE_INFINITY;
  #lost: string | undefined;
  /** What follows a loss is another author's. */
  #lives = 1;
  #n = 1;

  constructor(world: World, session: string, options: { periodMs: number; drops: boolean }) {
    this.#world = world;
    this.session = session;
    this.#periodMs = options.periodMs;
    this.#drops = options.drops;
  }

  /** Resolves when it owns its session. */
  async start(): Promise<void> {
    const line = await this.#connect();
    const answer = await line.ask({ type: 'subscribe', session_id: this.session, attempt_id: crypto.randomUUID() });
    if (answer?.type !== 'subscribe_ack' || !answer.owner)
      throw new Error(`${this.session}: ${JSON.stringify(answer)}`);
    this.#owns(line, answer);
    this.#planDrop();
  }

  async run(): Promise<void> {
    await this.#world.repeat(this.#periodMs, async () => {
      if (performance.now() > this.#dropAtMs) this.#line?.cut();
      if (this.#line?.isOpen !== true) {
        await this.#reclaim();
        this.#planDrop();
      }
      if (this.#lost !== undefined) await this.#startAgain(this.#lost);
      if (this.#line?.isOpen === true) await this.#send(this.#line);
    });
  }

  close(): void {
    this.#line?.cut();
  }

  #planDrop(): void {
    if (this.#drops) this.#dropAtMs = performance.now() + DROP_EVERY_MS * (0.5 + Math.random());
  }

  async #connect(): Promise<Line> {
    const line: Line = await Line.open(this.#world.anyNode().port, {
      onFrame: (frame) => this.#hear(line, frame),
      onClosed: (code) => this.#world.ledger.find('socket closed', `${this.session}'s owner, ${code}`),
    });
    this.#line = line;
    return line;
  }

  #hear(line: Line, frame: ServerMessage): void {
    const { ledger } = this.#world;
    if (frame.type === 'ownership' && frame.owner === true) {
      ledger.granted(this.session, frame.owner_epoch, line.id);
      this.#token = frame.reconnect_token ?? this.#token;
    }
    if (frame.type !== 'ownership_lost') return;
    if (frame.reason === 'lease_unconfirmed') ledger.find('lease unconfirmed', this.session);
    else this.#lost = `told ${frame.reason}`;
  }

  #owns(line: Line, ack: SubscribeAck | ClaimAck): void {
    this.#world.ledger.granted(this.session, ack.owner_epoch, line.id);
    this.#token = ack.reconnect_token ?? this.#token;
    this.#grantedMs = performance.now();
  }

  async #send(line: Line): Promise<void> {
    const { calls, ledger } = this.#world;
    const author = `owner-${this.#lives}`;
    const key = `${author}-${this.#n}`;
    const startMs = performance.now();
    const data = { author, n: this.#n };
    const answer = await line.ask({ type: 'send', session_id: this.session, data, idempotency_key: key });
    // A connection that was lost says nothing of the verb; `socket closed` does.
    if (answer === undefined && !line.isOpen) return;
    const code = codeOf(answer);
    if (code === 'not_owner') {
      this.#lost ??= 'send answered not_owner';
      return;
    }
    calls.record('send', this.session, startMs, code);
    if (code === 'ok') {
      ledger.acknowledge(this.session, author);
      this.#n += 1;
    } else await this.#world.pause(RETRY_MS);
  }

  /** One attempt, repeated as the same attempt until there is an answer. */
  async #reclaim(): Promise<void> {
    const { calls } = this.#world;
    const attempt = crypto.randomUUID();
    while (!this.#world.stopped) {
      const startMs = performance.now();
      const line = this.#line?.isOpen === true ? this.#line : await this.#connect().catch(() => undefined);
      if (line === undefined) {
        calls.record('reclaim', this.session, startMs, REFUSED);
        await this.#world.pause(RETRY_MS);
        continue;
      }
      const subscription = { session_id: this.session, reconnect_token: this.#token, attempt_id: attempt };
      const answer = await line.ask({ type: 'subscribe', ...subscription });
      const code = codeOf(answer);
      if (RETRIED.has(code)) {
        calls.record('reclaim', this.session, startMs, code);
        if (code === 'no_answer') line.cut();
        await this.#world.pause(RETRY_MS);
        continue;
      }
      calls.record('reclaim', this.session, startMs, 'ok');
      if (answer?.type === 'subscribe_ack' && answer.owner) this.#owns(line, answer);
      else this.#lost = answer?.type === 'subscribe_ack' ? `token ${answer.token_status}` : `reclaim answered ${code}`;
      return;
    }
  }

  /** Somebody else, or nobody, owns the session: it becomes the owner again as anybody would. */
  async #startAgain(how: string): Promise<void> {
    this.#world.ledger.lostOwners.push({ session: this.session, grantedMs: this.#grantedMs, how });
    this.#world.calls.leave('send', this.session);
    this.#line?.cut();
    while (!this.#world.stopped) {
      const line = await this.#connect().catch(() => undefined);
      const answer = await line?.ask({ type: 'subscribe', session_id: this.session });
      if (line !== undefined && answer?.type === 'subscribe_ack' && answer.owner) {
        this.#owns(line, answer);
        this.#lost = undefined;
        this.#lives += 1;
        this.#n = 1;
        return;
      }
      line?.cut();
      await this.#world.pause(10 * RETRY_MS);
    }
  }
}
