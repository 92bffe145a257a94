/** Shows how much of a grace period is left. */
export class Countdown {
  readonly #box: HTMLElement;
  readonly #bar: HTMLProgressElement;
  readonly #left: HTMLElement;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(elements: { box: HTMLElement; bar: HTMLProgressElement; left: HTMLElement }) {
    this.#box = elements.box;
    this.#bar = elements.bar;
    this.#left = elements.left;
  }

  /**
   * @param leftMs what is left now
   * @param wholeMs the full grace period
   */
  start(leftMs: number, wholeMs: number, onOver = () => {}): void {
    this.stop();
    const endsAtMs = performance.now() + Math.min(leftMs, wholeMs);
    const show = () => {
      const nowLeftMs = Math.max(0, endsAtMs - performance.now());
      this.#bar.value = wholeMs > 0 ? nowLeftMs / wholeMs : 0;
      this.#left.textContent = `${(nowLeftMs / 1000).toFixed(1)} s`;
      if (nowLeftMs > 0) return;
      clearInterval(this.#timer);
      onOver();
    };
    this.#box.hidden = false;
    this.#timer = setInterval(show, 100);
    show();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#box.hidden = true;
  }
}
