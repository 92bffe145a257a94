/** What the client asks of the page it runs in; outside of a page nothing of this happens. */

/** True in a window, with its life cycle; false in Node and in workers. */
export function isPage(): boolean {
  return typeof window !== 'undefined' && typeof document !== 'undefined';
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

function listen(all: readonly (readonly [EventTarget, string, () => void])[]): () => void {
  for (const [target, type, listener] of all) target.addEventListener(type, listener);
  return () => {
    for (const [target, type, listener] of all) target.removeEventListener(type, listener);
  };
}
