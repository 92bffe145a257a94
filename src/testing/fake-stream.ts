import { HoldfastError } from '../protocol/errors.js';
import type { MessageMessage, Payload, Position, SubscribeAck, Subscription } from '../protocol/messages.js';

const IDEMPOTENCY_MS = 300_000;
/** A full history loses that part of its limit at a time, as a gateway's does. */
const SLACK = 16;

/** Who sends, and what is told of it. Without `ownerEpoch`: the application. */
export interface Sender {
  ownerEpoch?: number | undefined;
  principal?: string | undefined;
}

/** One session's messages. */
export class FakeStream {
  readonly #sessionId: string;
  readonly #limit: number;
  readonly #nextNumber: () => number;
  #epoch: string;
  #top = 0;
  #entries: MessageMessage[] = [];
  /** By key and principal, oldest first. */
  readonly #sent = new Map<string, { offset: number; payload: string; atMs: number }>();

  /** @param nextNumber rises with every call */
  constructor(sessionId: string, limit: number, nextNumber: () => number) {
    this.#sessionId = sessionId;
    this.#limit = limit;
    this.#nextNumber = nextNumber;
    this.#epoch = String(nextNumber());
  }

  get position(): Position {
    return { epoch: this.#epoch, offset: this.#top };
  }

  get entries(): readonly MessageMessage[] {
    return this.#entries;
  }

  /** What a subscription with `since` is told, and what follows it. */
  begin(since: Subscription['since']): {
    begins: Pick<SubscribeAck, 'position' | 'recovered'>;
    backlog: MessageMessage[];
  } {
    const { position } = this;
    if (since === undefined) return { begins: { position }, backlog: [] };
    const first = this.#top - this.#entries.length + 1;
    const { epoch, offset } = since === 'oldest' ? { ...position, offset: first - 1 } : since;
    const isKept = epoch === position.epoch && offset >= first - 1 && offset <= this.#top;
    if (!isKept) return { begins: { position, recovered: false }, backlog: [] };
    const recovered = since !== 'oldest' || first === 1;
    return { begins: { position: { epoch, offset }, recovered }, backlog: this.#entries.slice(offset - first + 1) };
  }

  append(payload: Payload, { ownerEpoch, principal }: Sender): MessageMessage {
    const message = this.#messageOf(this.#top + 1, payload, {
      ...(ownerEpoch !== undefined && { owner_epoch: ownerEpoch }),
      ...(principal !== undefined && { principal }),
    });
    this.#top++;
    this.#entries.push(message);
    if (this.#entries.length > this.#limit) {
      this.#entries.splice(0, this.#entries.length - this.#limit + Math.floor(this.#limit / SLACK));
    }
    return message;
  }

  /** For who is there: not kept, and not counted. */
  ephemeral(payload: Payload): MessageMessage {
    return this.#messageOf(this.#top, payload, { ephemeral: true });
  }

  /**
   * The offset that the same message was given before; undefined when it is new.
   * @throws HoldfastError `idempotency_conflict` when the key stands for another message
   */
  known(key: string, payload: Payload): number | undefined {
    for (const [old, { atMs }] of this.#sent) {
      if (Date.now() - atMs < IDEMPOTENCY_MS) break;
      this.#sent.delete(old);
    }
    const sent = this.#sent.get(key);
    if (sent !== undefined && sent.payload !== JSON.stringify(payload)) {
      throw new HoldfastError('idempotency_conflict', 'the idempotency key belongs to another message');
    }
    return sent?.offset;
  }

  remember(key: string, payload: Payload, offset: number): void {
    this.#sent.set(key, { offset, payload: JSON.stringify(payload), atMs: Date.now() });
  }

  /** Forgets everything, as a store without persistence does when it restarts. */
  lose(): void {
    this.#epoch = String(this.#nextNumber());
    this.#top = 0;
    this.#entries = [];
    this.#sent.clear();
  }

  #messageOf(offset: number, payload: Payload, about: object): MessageMessage {
    return { type: 'message', session_id: this.#sessionId, offset, at: Date.now(), ...about, ...payload };
  }
}
