/** What the client asks of the page it runs in; outside of a page nothing of this happens. */

/** True in a window, with its life cycle; false in Node and in workers. */
export function isPage(): boolean {
  return typeof window !== 'undefined' && typeof document !== 'undefined';
}

/** True where the browser says so, which is right more often than when it says the opposite. */
export function isOffline(): boolean {
  return isPage() && !navigator.onLine;
}

/**
 * Calls `check` when the page may have been asleep or offline.
 * @returns what ends that
 */
export function onWake(check: () => void): () => void {
  if (!isPage()) return () => {};
  const whenVisible = () => {
    if (document.visibilityState === 'visible') check();
  };
  return listen([
    [window, 'online', check],
    [window, 'pageshow', check],
    [window, 'focus', check],
    [document, 'resume', check],
    [document, 'visibilitychange', whenVisible],
  ]);
}

/**
 * Calls `leave` when the page may end or freeze, and `comeBack` when it goes on after all.
 * @returns what ends that
 */
export function onLeave(leave: () => void, comeBack: () => void): () => void {
  return listen([
    [window, 'pagehide', leave],
    [document, 'freeze', leave],
    [window, 'pageshow', comeBack],
    [document, 'resume', comeBack],
  ]);
}

/** The page's own origin; undefined outside of a page, and where it has none. */
export function originOfPage(): string | undefined {
  return isPage() && /^https?:/.test(location.origin) ? location.origin : undefined;
}

/** Undefined outside of a page, and where the browser's settings forbid it. */
export function localStorageOfPage(): Storage | undefined {
  try {
    return isPage() ? window.localStorage : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Calls `changed` when another tab changes what storage holds under `key`, with what is there now.
 * @returns what ends that
 */
export function onStorage(key: string, changed: (value: string | null) => void): () => void {
  if (!isPage()) return () => {};
  const listener = (event: Event) => {
    const { key: changedKey, newValue } = event as StorageEvent;
    if (changedKey === key || changedKey === null) changed(newValue);
  };
  return listen([[window, 'storage', listener]]);
}

/**
 * Calls `added` with what another page of the same tab puts into its storage.
 * @returns what ends that
 */
export function onAdded(storage: unknown, added: (key: string, value: string) => void): () => void {
  const listener = (event: Event) => {
    const { storageArea, key, newValue } = event as StorageEvent;
    if (storageArea === storage && key !== null && newValue !== null) added(key, newValue);
  };
  return listen([[window, 'storage', listener]]);
}

function listen(all: readonly (readonly [EventTarget, string, (event: Event) => void])[]): () => void {
  for (const [target, type, listener] of all) target.addEventListener(type, listener);
  return () => {
    for (const [target, type, listener] of all) target.removeEventListener(type, listener);
  };
}
