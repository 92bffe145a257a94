import type { ControlLog, ControlNotice } from '../../src/login/ports.js';

/** A control log in memory; while `away` it cannot be read. */
export class FakeControlLog implements ControlLog {
  readonly #notices: ControlNotice[] = [];
  away = false;
  /** Awaited by each read. */
  reading: Promise<void> | undefined;
  reads = 0;

  async append(notice: ControlNotice): Promise<void> {
    this.#notices.push(notice);
  }

  async end(): Promise<string> {
    return String(this.#notices.length);
  }

  async read(position: string): Promise<{ notices: ControlNotice[]; position: string }> {
    this.reads += 1;
    await this.reading;
    if (this.away) throw new Error('away');
    return { notices: this.#notices.slice(Number(position)), position: String(this.#notices.length) };
  }
}
