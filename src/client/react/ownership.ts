import { useCallback, useMemo, useRef, useState } from 'react';
import type { ClientError, Ownership, Session } from '../index.js';
import { useClientContext } from './provider.js';
import { type SessionTarget, useSessionState, useTarget } from './session.js';

export interface OwnershipControl {
  /** This client owns the session and may send, as far as it knows now. */
  readonly isOwner: boolean;
  /** What the gateway said last; undefined before it said anything, and after the session stopped. */
  readonly ownership: Ownership | undefined;
  /** Becomes the owner unless another is. What was refused is in `error`. Does nothing while there is no session. */
  readonly claim: () => void;
  /** Becomes the owner in any case, with the right to; otherwise like `claim`. */
  readonly takeOver: () => void;
  /** Gives the session up and goes on watching; otherwise like `claim`. */
  readonly release: () => void;
  /** One of the three is not answered yet. */
  readonly pending: boolean;
  /** Why the last of the three failed; undefined from the next one on. */
  readonly error: ClientError | undefined;
}

interface Attempt {
  readonly session: unknown;
  readonly error?: ClientError;
}

/** Who owns the session, and what becomes or stops being its owner. The functions stay the same for one session. */
export function useOwnership(target: SessionTarget): OwnershipControl {
  const session = useTarget(target);
  const state = useSessionState(session, useClientContext());
  const last = useRef<Attempt>(undefined);
  const [attempt, setAttempt] = useState<Attempt & { pending: boolean }>();

  const run = useCallback(
    (act: (session: Session<unknown, never>) => Promise<void>) => {
      if (session === undefined) return;
      const mine: Attempt = (last.current = { session });
      const settle = (outcome: { error?: ClientError }) => {
        if (last.current === mine) setAttempt({ ...mine, ...outcome, pending: false });
      };
      setAttempt({ ...mine, pending: true });
      act(session).then(
        () => settle({}),
        (error: ClientError) => settle({ error }),
      );
    },
    [session],
  );
  const actions = useMemo(
    () => ({
      claim: () => run((session) => session.claim()),
      takeOver: () => run((session) => session.claim({ force: true })),
      release: () => run((session) => session.release()),
    }),
    [run],
  );

  const current = attempt?.session === session ? attempt : undefined;
  return {
    ...actions,
    isOwner: state.name === 'owner',
    ownership: 'ownership' in state ? state.ownership : undefined,
    pending: current?.pending ?? false,
    error: current?.error,
  };
}
