const MAX_ENTRIES = 200;

/** `good`: something is well again. `problem`: something is not. */
export type EntryKind = 'note' | 'good' | 'problem';

/** What happened, newest first, in words. */
export class EventLog {
  readonly #list: HTMLElement;

  constructor(list: HTMLElement) {
    this.#list = list;
  }

  add(text: string, kind: EntryKind = 'note'): void {
    const now = new Date();
    const time = document.createElement('time');
    time.dateTime = now.toISOString();
    time.textContent = now.toTimeString().slice(0, 8);
    const words = document.createElement('span');
    words.textContent = kind === 'problem' ? `Problem: ${text}` : text;
    const entry = document.createElement('li');
    entry.dataset['kind'] = kind;
    entry.append(time, words);
    this.#list.prepend(entry);
    while (this.#list.childElementCount > MAX_ENTRIES) this.#list.lastElementChild?.remove();
  }
}
