import type { NoticeLog } from '../../lib/notice-log.js';
import type { ControlNotice } from '../../login/ports.js';

const KEPT = 10_000;

/** The log of a single node, which alone reads it. A position is how many entries were ever written before it. */
export class MemoryControlLog<Notice = ControlNotice> implements NoticeLog<Notice> {
  #notices: Notice[] = [];
  #dropped = 0;

  async append(notice: Notice): Promise<void> {
    this.#notices.push(notice);
    if (this.#notices.length < 2 * KEPT) return;
    this.#notices = this.#notices.slice(-KEPT);
    this.#dropped += KEPT;
  }

  async end(): Promise<string> {
    return String(this.#dropped + this.#notices.length);
  }

  async read(position: string): Promise<{ notices: Notice[]; position: string }> {
    const notices = this.#notices.slice(Math.max(0, Number(position) - this.#dropped));
    return { notices, position: await this.end() };
  }
}
