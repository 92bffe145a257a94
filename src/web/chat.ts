/** The conversation on the page: a prompt from the owner, an answer of the agent, seen by all. */
import { ClientError, type Session } from '../client/index.js';
import { Agent } from './agent.js';
import { Conversation, type Said } from './conversation.js';
import { Transcript } from './transcript.js';

export interface ChatElements {
  list: HTMLElement;
  scroller: HTMLElement;
  form: HTMLFormElement;
  prompt: HTMLInputElement;
  send: HTMLButtonElement;
  stop: HTMLButtonElement;
  /** Says in words what goes on. */
  agent: HTMLElement;
  position: HTMLElement;
}

const STOP = { kind: 'stop' };
const OVERTAKEN: ReadonlySet<string> = new Set(['not_owner', 'stopped']);

export class Chat {
  readonly #elements: ChatElements;
  readonly #conversation = new Conversation();
  readonly #transcript: Transcript;
  readonly #onProblem: (error: ClientError) => void;
  #session: Session;
  #agent: Agent;

  constructor(session: Session, elements: ChatElements, onProblem: (error: ClientError) => void) {
    this.#elements = elements;
    this.#onProblem = onProblem;
    this.#transcript = new Transcript(elements.list, elements.scroller);
    this.#session = session;
    this.#agent = new Agent(session, this.#conversation);
    this.follow(session);
    elements.form.addEventListener('submit', (event) => {
      event.preventDefault();
      const text = elements.prompt.value.trim();
      if (text !== '') this.#ask(text);
    });
    elements.stop.addEventListener('click', () => {
      if (this.#session.state.name === 'owner') this.#agent.stop();
      else this.#try(this.#session.signal(STOP));
    });
  }

  /** Shows this session from now on, from its oldest message. */
  follow(session: Session): void {
    this.#session = session;
    this.#agent = new Agent(session, this.#conversation);
    this.#clear();
    session.on('message', ({ data, offset }) => {
      const turn = this.#conversation.add(data, offset);
      if (turn !== undefined) this.#transcript.show(turn, this.#conversation.turns);
      this.render();
      this.#answer();
    });
    session.on('reset', () => this.#clear());
    session.on('state', () => {
      this.render();
      this.#answer();
    });
    session.on('signal', ({ data }) => {
      if ((data as Partial<typeof STOP> | null)?.kind === STOP.kind) this.#agent.stop();
    });
  }

  render(): void {
    const { state, position } = this.#session;
    const { openTurn } = this.#conversation;
    const owns = state.name === 'owner';
    const { prompt, send, stop, agent } = this.#elements;
    prompt.disabled = send.disabled = !owns;
    prompt.placeholder = owns ? 'Say something' : 'Only the owner may speak';
    stop.disabled = openTurn === undefined || !(owns || state.name === 'watching');
    agent.textContent = openTurn === undefined ? 'The agent is idle.' : this.#whoWrites();
    this.#elements.position.textContent = position === undefined ? '–' : String(position.offset);
    this.#elements.position.title = position === undefined ? '' : `Stream epoch ${position.epoch}`;
  }

  #whoWrites(): string {
    const { state } = this.#session;
    if (state.name === 'owner') return 'The agent is writing, in this tab.';
    const isOwned = 'ownership' in state && state.ownership.state === 'owned';
    return isOwned ? 'The agent is writing, in the owner’s tab.' : 'The answer waits for an owner.';
  }

  #ask(text: string): void {
    this.#elements.prompt.value = '';
    const said: Said = { kind: 'prompt', turn: crypto.getRandomValues(new Uint32Array(2)).join('-'), text };
    this.#try(this.#session.send(said));
  }

  #answer(): void {
    // An agent that lost the session in the middle of a word: the events say so already.
    const isOver = (error: unknown) => error instanceof ClientError && OVERTAKEN.has(error.code);
    this.#try(this.#agent.answer().catch((error: unknown) => (isOver(error) ? undefined : Promise.reject(error))));
  }

  #try(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (!(error instanceof ClientError)) throw error;
      this.#onProblem(error);
    });
  }

  #clear(): void {
    this.#conversation.clear();
    this.#transcript.clear();
    this.render();
  }
}
