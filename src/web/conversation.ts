/** What was said in the session, as its messages tell it. */

/** What the page's messages carry. */
export type Said =
  | { kind: 'prompt'; turn: string; text: string }
  /** An agent takes the turn up: all that was said before it was sent has arrived once it arrives itself. */
  | { kind: 'agent'; turn: string }
  | { kind: 'word'; turn: string; index: number; text: string }
  | { kind: 'end'; turn: string; stopped: boolean };

export interface Turn {
  readonly id: string;
  readonly prompt: string;
  readonly firstOffset: number;
  lastOffset: number;
  reply: string;
  /** Of the next word. */
  index: number;
  state: 'open' | 'done' | 'stopped';
}

const MAX_TURNS = 50;

export class Conversation {
  readonly #turns = new Map<string, Turn>();

  get turns(): Turn[] {
    return Array.from(this.#turns.values());
  }

  /** The oldest that is not answered in full. */
  get openTurn(): Turn | undefined {
    return this.turns.find(({ state }) => state === 'open');
  }

  /** @returns the turn that it belongs to; undefined for what is not of this page */
  add(data: unknown, offset: number): Turn | undefined {
    if (!isSaid(data)) return undefined;
    if (data.kind === 'prompt') {
      const { turn: id, text: prompt } = data;
      const turn: Turn = { id, prompt, firstOffset: offset, lastOffset: offset, reply: '', index: 0, state: 'open' };
      this.#turns.set(id, turn);
      const [oldest] = this.#turns.keys();
      if (this.#turns.size > MAX_TURNS && oldest !== undefined) this.#turns.delete(oldest);
      return turn;
    }
    const turn = this.#turns.get(data.turn);
    if (turn === undefined) return undefined;
    turn.lastOffset = offset;
    if (data.kind === 'word') {
      turn.reply += data.text;
      turn.index = data.index + 1;
    } else if (data.kind === 'end') turn.state = data.stopped ? 'stopped' : 'done';
    return turn;
  }

  clear(): void {
    this.#turns.clear();
  }
}

/** Anybody may publish into the session. */
function isSaid(data: unknown): data is Said {
  if (typeof data !== 'object' || data === null) return false;
  const { kind, turn, text, index } = data as Record<string, unknown>;
  if (typeof turn !== 'string') return false;
  if (kind === 'prompt') return typeof text === 'string';
  if (kind === 'word') return typeof text === 'string' && typeof index === 'number';
  return kind === 'agent' || kind === 'end';
}
