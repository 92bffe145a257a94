import type { Position, ServerMessage } from '../../src/protocol/messages.js';
import { Followed, type Said } from './ledger.js';
import { Line } from './line.js';
import type { World } from './world.js';

/** Follows sessions over one connection and checks what it gets. */
export class Watcher {
  readonly #world: World;
  readonly #name: string;
  readonly #sessions: readonly string[];
  readonly #followed = new Map<string, Followed>();
  readonly #epochs = new Map<string, number>();
  #line: Line | undefined;

  constructor(world: World, name: string, sessions: readonly string[]) {
    this.#world = world;
    this.#name = name;
    this.#sessions = sessions;
  }

  async start(): Promise<void> {
    const { ledger } = this.#world;
    this.#line = await Line.open(this.#world.anyNode().port, {
      onFrame: (frame) => this.#hear(frame),
      onMessage: (message) => {
        const said = 'data' in message ? message.data : undefined;
        this.#followed.get(message.session_id)?.message(message.offset, said as Said);
      },
      onClosed: (code) => ledger.find('socket closed', `${this.#name}, ${code}`),
    });
    for (const session of this.#sessions) {
      const answer = await this.#line.ask({ type: 'subscribe', session_id: session, claim: 'never' });
      if (answer?.type !== 'subscribe_ack') throw new Error(`${this.#name}: ${JSON.stringify(answer)}`);
      this.#followed.set(session, new Followed(ledger, `${this.#name} of ${session}`, answer.position));
    }
  }

  /** How many of its sessions it follows to just that position. */
  standingAt(ends: ReadonlyMap<string, Position>): number {
    const isThere = ([session, { position }]: [string, Followed]) =>
      position.epoch === ends.get(session)?.epoch && position.offset === ends.get(session)?.offset;
    return [...this.#followed].filter(isThere).length;
  }

  get count(): number {
    return this.#sessions.length;
  }

  close(): void {
    this.#line?.cut();
  }

  #hear(frame: ServerMessage): void {
    if (frame.type === 'reset') this.#followed.get(frame.session_id)?.reset(frame.position, frame.recovered);
    if (frame.type !== 'ownership') return;
    const last = this.#epochs.get(frame.session_id) ?? 0;
    if (frame.owner_epoch < last) {
      const what = `${this.#name}: ${frame.session_id} ${frame.reason} at ${frame.owner_epoch} after ${last}`;
      this.#world.ledger.find('epoch went back', what);
    }
    this.#epochs.set(frame.session_id, Math.max(last, frame.owner_epoch));
  }
}
