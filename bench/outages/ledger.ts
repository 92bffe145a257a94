import type { Position } from '../../src/protocol/messages.js';

/** What the authors of the load say: who, and the how manieth. */
export interface Said {
  author: string;
  n: number;
}

/** What is counted, most of which must not happen. */
export type Findings = Record<(typeof FINDINGS)[number], number>;

const FINDINGS = [
  'two owners',
  'epoch went back',
  'lease unconfirmed',
  'socket closed',
  'logged out',
  'message skipped',
  'message doubled',
  'message reordered',
  'reset, recovered',
  'reset, not recovered',
] as const;

/** Of each kind. */
const EXAMPLES = 3;

/** A session that its owner lost though it did all that a client must. */
export interface LostOwner {
  session: string;
  /** When it was last told that it owns the session. */
  grantedMs: number;
  how: string;
}

/** What the clients of the load were told, and what of it contradicts the rest. */
export class Ledger {
  readonly findings = Object.fromEntries(FINDINGS.map((name) => [name, 0])) as Findings;
  readonly examples: string[] = [];
  readonly lostOwners: LostOwner[] = [];
  /** By session and author: when each message was acknowledged, in order. */
  readonly acknowledged = new Map<string, Map<string, number[]>>();
  readonly #owners = new Map<string, Map<number, string>>();
  readonly #epochs = new Map<string, number>();

  find(what: keyof Findings, detail: string): void {
    this.findings[what] += 1;
    if (this.findings[what] <= EXAMPLES && !what.startsWith('reset')) this.examples.push(`${what}: ${detail}`);
  }

  /** A connection was told that it owns the session from that epoch on. */
  granted(session: string, epoch: number, connection: string): void {
    const owners = this.#owners.get(session) ?? new Map<number, string>();
    this.#owners.set(session, owners);
    const other = owners.get(epoch) ?? connection;
    if (other !== connection) this.find('two owners', `${session} at ${epoch}: ${other} and ${connection}`);
    owners.set(epoch, connection);
    const last = this.#epochs.get(session) ?? 0;
    if (epoch < last) this.find('epoch went back', `${session} is owned at ${epoch} after ${last}`);
    this.#epochs.set(session, Math.max(last, epoch));
  }

  /** An author says one message after another, so the n-th call is message n. */
  acknowledge(session: string, author: string): void {
    const authors = this.acknowledged.get(session) ?? new Map<string, number[]>();
    this.acknowledged.set(session, authors);
    const times = authors.get(author) ?? [];
    authors.set(author, times);
    times.push(performance.now());
  }
}

/** One subscriber's messages of one session: each once and in order, or it is told. */
export class Followed {
  readonly #ledger: Ledger;
  readonly #name: string;
  readonly #last = new Map<string, number>();
  position: Position;

  constructor(ledger: Ledger, name: string, position: Position) {
    this.#ledger = ledger;
    this.#name = name;
    this.position = { ...position };
  }

  message(offset: number, { author, n }: Said): void {
    const due = this.position.offset + 1;
    if (offset > due) this.#ledger.find('message skipped', `${this.#name}: offset ${offset} where ${due} is due`);
    if (offset < due) this.#ledger.find('message doubled', `${this.#name}: offset ${offset} where ${due} is due`);
    this.position.offset = offset;
    const last = this.#last.get(author) ?? 0;
    if (n === last) this.#ledger.find('message doubled', `${this.#name}: ${author} ${n} twice`);
    if (n < last) this.#ledger.find('message reordered', `${this.#name}: ${author} ${n} after ${last}`);
    this.#last.set(author, n);
  }

  reset(position: Position, recovered: boolean): void {
    this.#ledger.find(recovered ? 'reset, recovered' : 'reset, not recovered', this.#name);
    this.position = { ...position };
    // What is gone may be said once more.
    if (!recovered) this.#last.clear();
  }
}
