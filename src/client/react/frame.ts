const FRAME_MS = 16;
/** Hidden pages have no frames. */
const MAX_WAIT_MS = 100;

/**
 * Calls back once: with the page's next frame, or after 100 ms without one; where there are no frames, after 16 ms.
 * @returns what calls it off
 */
export function onNextFrame(callback: () => void): () => void {
  const hasFrames = typeof requestAnimationFrame === 'function';
  const run = () => {
    cancel();
    callback();
  };
  const timer = setTimeout(run, hasFrames ? MAX_WAIT_MS : FRAME_MS);
  const frame = hasFrames ? requestAnimationFrame(run) : undefined;
  const cancel = () => {
    clearTimeout(timer);
    if (frame !== undefined) cancelAnimationFrame(frame);
  };
  return cancel;
}
