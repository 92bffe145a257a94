/** Shows the turns of a conversation. */
import type { Turn } from './conversation.js';

interface Row {
  readonly item: HTMLElement;
  readonly reply: HTMLElement;
  readonly offsets: HTMLElement;
}

const ENDS: Record<Turn['state'], string> = { open: '', done: '', stopped: ' · stopped' };

export class Transcript {
  readonly #list: HTMLElement;
  readonly #scroller: HTMLElement;
  readonly #rows = new Map<string, Row>();

  constructor(list: HTMLElement, scroller: HTMLElement) {
    this.#list = list;
    this.#scroller = scroller;
  }

  /** @param turn new or changed @param turns all that there are */
  show(turn: Turn, turns: readonly Turn[]): void {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const isAtEnd = scrollTop + clientHeight >= scrollHeight - 40;
    const { item, reply, offsets } = this.#row(turn);
    item.dataset['state'] = turn.state;
    reply.textContent = turn.reply;
    const { firstOffset, lastOffset } = turn;
    offsets.textContent = `Offsets ${firstOffset}–${lastOffset}${ENDS[turn.state]}`;
    const kept = new Set(turns.map(({ id }) => id));
    for (const [id, row] of this.#rows) if (!kept.has(id)) this.#remove(id, row);
    if (isAtEnd) this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  clear(): void {
    for (const [id, row] of this.#rows) this.#remove(id, row);
  }

  #remove(id: string, { item }: Row): void {
    item.remove();
    this.#rows.delete(id);
  }

  #row({ id, prompt }: Turn): Row {
    const known = this.#rows.get(id);
    if (known !== undefined) return known;
    const item = document.createElement('li');
    const paragraph = (className: string, text = '') => {
      const made = document.createElement('p');
      made.className = className;
      made.textContent = text;
      item.append(made);
      return made;
    };
    paragraph('prompt', prompt);
    const [reply, offsets] = [paragraph('reply'), paragraph('offsets')];
    this.#list.append(item);
    const row = { item, reply, offsets };
    this.#rows.set(id, row);
    return row;
  }
}
