import type { Waiting } from '../session/owner-sends.js';
import type { RequestLine } from './request-line.js';

/** To whom an error belongs. */
export interface Echo {
  id?: string | undefined;
  session_id?: string | undefined;
}

/** Handles a request and tells who waits for it. Must not throw. */
export type Work = (waiting: Waiting) => void;

/** What a frame asks for, and who waits for the answer: one object, since there is one for each message. */
export class PendingRequest implements Echo, Waiting {
  readonly id: string | undefined;
  readonly session_id: string | undefined;
  /** Whether it may run together with others of its session. */
  readonly shared: boolean;
  /** What it counts for while it is pending. */
  readonly bytes: number;
  readonly work: Work;
  /** In which it is. */
  readonly line: RequestLine<PendingRequest>;
  readonly #inbox: { ended(request: PendingRequest, error: unknown): void };

  constructor(
    inbox: { ended(request: PendingRequest, error: unknown): void },
    line: RequestLine<PendingRequest>,
    { id, session_id }: Echo,
    shared: boolean,
    bytes: number,
    work: Work,
  ) {
    this.#inbox = inbox;
    this.line = line;
    this.id = id;
    this.session_id = session_id;
    this.shared = shared;
    this.bytes = bytes;
    this.work = work;
  }

  done(error?: unknown): void {
    this.#inbox.ended(this, error);
  }
}
