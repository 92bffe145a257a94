import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerMessage } from '../../src/protocol/messages.js';
import type { Request } from '../../test/support/raw-client.js';
import { RawSocket } from '../raw-socket.js';

/** Longer than a gateway makes anybody wait for the store. */
export const PATIENCE_MS = 15_000;
/** The code of an upgrade that a node refused, as it does when it has too much to do. */
export const REFUSED = 'upgrade_refused';
const MESSAGE = '{"type":"message"';

export interface Listener {
  onFrame?(frame: ServerMessage): void;
  /** Without it messages are not even parsed. */
  onMessage?(message: Extract<ServerMessage, { type: 'message' }>): void;
  /** The gateway's side ended the connection. */
  onClosed(code: number | undefined): void;
}

/** A connection of the load: it asks, is answered, and keeps nothing. */
export class Line {
  readonly #socket: RawSocket;
  readonly #answers = new Map<string, (answer: ServerMessage | undefined) => void>();
  #asked = 0;
  #open = true;
  id = '';

  private constructor(socket: RawSocket, listener: Listener, onWelcome: () => void) {
    this.#socket = socket;
    socket.onText = (text) => {
      if (!this.#open || (listener.onMessage === undefined && text.startsWith(MESSAGE))) return;
      const frame = JSON.parse(text) as ServerMessage;
      if (frame.type === 'welcome') {
        this.id = frame.connection_id;
        onWelcome();
      } else if (frame.type === 'message') listener.onMessage?.(frame);
      else if (!this.#isAnswer(frame)) listener.onFrame?.(frame);
    };
    socket.onClose = (code) => {
      if (!this.#open) return;
      this.#end();
      listener.onClosed(code);
    };
  }

  /** Resolves after the `welcome`. @throws Error with the answer to an upgrade that was refused */
  static async open(port: number, listener: Listener): Promise<Line> {
    const socket = await RawSocket.open(port, '/v1/connect');
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('no welcome')), PATIENCE_MS);
      const line = new Line(socket, listener, () => {
        clearTimeout(late);
        resolve(line);
      });
    });
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** @returns undefined when the connection ended, or nothing came in 15 s */
  async ask(request: Request): Promise<ServerMessage | undefined> {
    if (!this.#open) return undefined;
    const id = String(++this.#asked);
    const answer = new Promise<ServerMessage | undefined>((resolve) => this.#answers.set(id, resolve));
    this.#socket.send(JSON.stringify({ ...request, id }));
    const late = new AbortController();
    const silence = sleep(PATIENCE_MS, undefined, late).catch(() => undefined);
    try {
      return await Promise.race([answer, silence]);
    } finally {
      late.abort();
      this.#answers.delete(id);
    }
  }

  /** Without a goodbye; its listener hears no more. */
  cut(): void {
    this.#end();
    this.#socket.cut();
  }

  #isAnswer(frame: ServerMessage): boolean {
    const waiting = 'id' in frame && frame.id !== undefined ? this.#answers.get(frame.id) : undefined;
    waiting?.(frame);
    return waiting !== undefined;
  }

  #end(): void {
    this.#open = false;
    for (const resolve of this.#answers.values()) resolve(undefined);
  }
}

/** `ok` for an acknowledgement, else why there is none. */
export function codeOf(answer: ServerMessage | undefined): string {
  if (answer === undefined) return 'no_answer';
  return answer.type === 'error' ? answer.code : 'ok';
}
