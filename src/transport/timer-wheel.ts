/** One timer for all connections. */

export interface WheelItem {
  /** The slot the item waits in; the wheel's own. */
  wheelSlot: number;
  /** The item's time has come. @returns in how many ms it wants to be woken again */
  wake(): number;
}

/** An item that waits in no slot. */
export const NO_SLOT = -1;

/**
 * Wakes each item once it has waited as long as it asked, up to two ticks late. A longer wait than the wheel spans is
 * cut to that, so an item compares its own deadline when it is woken.
 *
 * It counts ticks and not time: after a stall of the process it goes on where it stopped, and it runs a slot only
 * after the event loop has polled for input. So nobody is judged silent whose bytes had arrived but were not read.
 */
export class TimerWheel {
  readonly #slots: Set<WheelItem>[];
  readonly #tickMs: number;
  #cursor = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(tickMs: number, spanMs: number) {
    this.#tickMs = tickMs;
    this.#slots = Array.from({ length: Math.ceil(spanMs / tickMs) + 2 }, () => new Set());
  }

  start(): void {
    this.#timer ??= setInterval(() => setImmediate(() => this.advance()), this.#tickMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  add(item: WheelItem, delayMs: number): void {
    // One more than asked, since the current tick has partly gone: nobody is woken early.
    const ticks = Math.min(Math.ceil(delayMs / this.#tickMs) + 1, this.#slots.length - 1);
    item.wheelSlot = (this.#cursor + ticks) % this.#slots.length;
    this.#slots[item.wheelSlot]?.add(item);
  }

  remove(item: WheelItem): void {
    this.#slots[item.wheelSlot]?.delete(item);
    item.wheelSlot = NO_SLOT;
  }

  /** One tick. */
  advance(): void {
    this.#cursor = (this.#cursor + 1) % this.#slots.length;
    const due = this.#slots[this.#cursor];
    if (due === undefined) return;
    for (const item of due) {
      this.remove(item);
      const delayMs = item.wake();
      if (delayMs > 0) this.add(item, delayMs);
    }
  }
}
