import { onTestFinished, vi } from 'vitest';

/** An event target that says how many listeners are on it. */
class CountingTarget extends EventTarget {
  listeners = 0;

  override addEventListener(...args: Parameters<EventTarget['addEventListener']>): void {
    this.listeners++;
    super.addEventListener(...args);
  }

  override removeEventListener(...args: Parameters<EventTarget['removeEventListener']>): void {
    this.listeners--;
    super.removeEventListener(...args);
  }
}

/** What the client sees of the page that it runs in, until the test is over. */
export class FakePage {
  readonly window = new CountingTarget();
  readonly document = Object.assign(new CountingTarget(), { visibilityState: 'visible' });
  readonly navigator = { onLine: true };

  constructor() {
    vi.stubGlobal('window', this.window);
    vi.stubGlobal('document', this.document);
    vi.stubGlobal('navigator', this.navigator);
    vi.stubGlobal('location', { origin: 'https://app.test' });
    onTestFinished(() => void vi.unstubAllGlobals());
  }

  get listeners(): number {
    return this.window.listeners + this.document.listeners;
  }

  goOnline(onLine: boolean): void {
    this.navigator.onLine = onLine;
    this.window.dispatchEvent(new Event(onLine ? 'online' : 'offline'));
  }

  show(visible = true): void {
    this.document.visibilityState = visible ? 'visible' : 'hidden';
    this.document.dispatchEvent(new Event('visibilitychange'));
  }

  hide(): void {
    this.show(false);
  }

  /** It comes out of the back/forward cache. */
  comeBack(): void {
    this.window.dispatchEvent(new Event('pageshow'));
  }

  /** Another tab changed what is stored. */
  stored(key: string, newValue: string | null): void {
    this.window.dispatchEvent(Object.assign(new Event('storage'), { key, newValue }));
  }
}
