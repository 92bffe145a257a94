import { onTestFinished, vi } from 'vitest';

/** The code runs in a page until the end of the test. */
export function openPage(): LoginPage {
  return new LoginPage();
}

/** A page with an origin, and with other tabs beside it. */
export class LoginPage {
  readonly window = new EventTarget();
  readonly #document = Object.assign(new EventTarget(), { visibilityState: 'visible' });

  constructor() {
    vi.stubGlobal('window', this.window);
    vi.stubGlobal('document', this.#document);
    vi.stubGlobal('location', { origin: 'https://app.test' });
    onTestFinished(() => void vi.unstubAllGlobals());
  }

  hide(): void {
    this.#become('hidden');
  }

  show(): void {
    this.#become('visible');
  }

  /** It comes out of the back/forward cache. */
  comeBack(): void {
    this.window.dispatchEvent(new Event('pageshow'));
  }

  /** Another tab changed what is stored. */
  stored(key: string, newValue: string | null): void {
    this.window.dispatchEvent(Object.assign(new Event('storage'), { key, newValue }));
  }

  #become(visibilityState: string): void {
    this.#document.visibilityState = visibilityState;
    this.#document.dispatchEvent(new Event('visibilitychange'));
  }
}
