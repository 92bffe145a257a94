import { type ReactNode, useEffect, useState } from 'react';
import { type ConnectionView, useConnectionState } from './connection.js';

export interface ReconnectingBannerProps {
  /** How long the connection is away before it is told. Default 500 ms: most are back by then. */
  delayMs?: number;
  className?: string;
  /** What to show in place of a short text. */
  children?: (state: ConnectionView) => ReactNode;
}

/**
 * Says that the connection is away: an element of role `status` without styles of its own, which is empty and has
 * neither `className` nor `data-state` while all is well. It stays in the page, since screen readers announce what
 * changes in such an element and often not one that appears. Says nothing of a client that the application paused or
 * closed.
 */
export function ReconnectingBanner({
  delayMs = 500,
  className,
  children = textOf,
}: ReconnectingBannerProps): ReactNode {
  const state = useConnectionState();
  const isShown = useIsLasting(isAway(state), delayMs);
  if (!isShown) return <div role="status" />;
  return (
    <div role="status" className={className} data-state={state.name}>
      {children(state)}
    </div>
  );
}

function isAway(state: ConnectionView): boolean {
  if (state.name === 'stopped') return state.code !== undefined;
  return state.name === 'connecting' || state.name === 'waiting';
}

function textOf({ name }: ConnectionView): string {
  return name === 'stopped' ? 'Disconnected' : 'Reconnecting…';
}

/** Whether `condition` has been true for `ms` without a break. */
function useIsLasting(condition: boolean, ms: number): boolean {
  const [isOver, setIsOver] = useState(false);
  useEffect(() => {
    if (!condition) return;
    const timer = setTimeout(() => setIsOver(true), ms);
    return () => {
      clearTimeout(timer);
      setIsOver(false);
    };
  }, [condition, ms]);
  return condition && isOver;
}
