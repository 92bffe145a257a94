/** A simulated agent: answers prompts word by word, in whichever tab owns the session. */
import type { Session } from '../client/index.js';
import type { Conversation, Said } from './conversation.js';
import { replyTo } from './reply.js';

const WORD_MS = 40;

export class Agent {
  readonly #session: Session;
  readonly #conversation: Conversation;
  #isRunning = false;
  #mustStop = false;

  constructor(session: Session, conversation: Conversation) {
    this.#session = session;
    this.#conversation = conversation;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Answers what is unanswered, if this tab owns the session and does not do so already. @throws ClientError */
  async answer(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      for (;;) {
        const turn = this.#conversation.openTurn;
        if (turn === undefined || this.#session.state.name !== 'owner') return;
        await this.#answer(turn.id);
      }
    } finally {
      this.#isRunning = false;
    }
  }

  /** Ends the current answer. */
  stop(): void {
    this.#mustStop = true;
  }

  async #answer(id: string): Promise<void> {
    this.#mustStop = false;
    const { offset } = await this.#say({ kind: 'agent', turn: id });
    await this.#arrived(offset);
    const turn = this.#conversation.turns.find((candidate) => candidate.id === id);
    if (turn?.state !== 'open') return;
    const words = replyTo(turn.prompt);
    for (let index = turn.index; index < words.length && !this.#mustStop; index++) {
      await this.#say({ kind: 'word', turn: id, index, text: words[index] ?? '' });
      await new Promise((resolve) => setTimeout(resolve, WORD_MS));
    }
    const end = await this.#say({ kind: 'end', turn: id, stopped: this.#mustStop });
    await this.#arrived(end.offset);
  }

  #say(said: Said): Promise<{ offset: number }> {
    return this.#session.send(said);
  }

  /** Once the agent's own message has come back, everything before it has arrived too. Ends when it never will. */
  async #arrived(offset: number): Promise<void> {
    const session = this.#session;
    const hasArrived = () => (session.position?.offset ?? 0) >= offset;
    if (hasArrived()) return;
    await new Promise<void>((resolve) => {
      const listening = [
        session.on('message', () => hasArrived() && end()),
        session.on('reset', () => end()),
        session.on('state', ({ state }) => state.name === 'stopped' && end()),
      ];
      const end = () => {
        for (const off of listening) off();
        resolve();
      };
    });
  }
}
