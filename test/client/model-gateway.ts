/** What a gateway knows of one session, small enough to be right: answers when it is told to, and not before. */
import type { ClientMessage, ServerMessage, Subscription } from '../../src/protocol/messages.js';
import type { FakeGateway, FakeSocket } from './fake-gateway.js';

const S = { session_id: 's:1' } as const;
type Request = Exclude<ClientMessage, { type: 'ping' | 'renew_login' }>;
type Answer = ServerMessage | Record<string, unknown>;

export class ModelGateway {
  state: 'free' | 'owned' | 'held' = 'free';
  /** Whether the owner, present or awaited, is the client under test. */
  ours = false;
  epoch = 0;
  rev = 0;
  token: string | undefined;
  /** The idempotency keys of what is stored, by offset from 1 on; of the application's messages none. */
  readonly history: (string | undefined)[] = [];
  /** More than one request that changes the session was under way at once. */
  overlapped = false;
  subscribed = false;
  readonly #fake: FakeGateway;
  readonly #attempts = new Map<string, string>();
  #socket: FakeSocket | undefined;
  #read = 0;
  /** Nothing that is sent arrives any more. */
  #isHalfOpen = false;
  readonly #pending: Request[] = [];

  constructor(fake: FakeGateway) {
    this.#fake = fake;
  }

  get isUp(): boolean {
    return this.#socket !== undefined && this.#socket.closedWith === undefined;
  }

  /** Notices what the client did: a new connection, a given up one, requests. */
  look(): void {
    if (this.#socket !== undefined && !this.isUp) this.#lose();
    const socket = this.#fake.sockets.at(-1);
    if (this.#socket === undefined || socket === undefined) return;
    for (; this.#read < socket.sent.length; this.#read++) {
      const message = socket.sent[this.#read];
      if (message?.type === 'ping') this.#deliver({ type: 'pong' });
      else if (message !== undefined && message.type !== 'renew_login') this.#pending.push(message);
    }
    const changing = this.#pending.filter(({ type }) => type !== 'send' && type !== 'signal');
    if (changing.length > 1) this.overlapped = true;
  }

  get pending(): number {
    this.look();
    return this.#pending.length;
  }

  welcome(): void {
    this.look();
    const socket = this.#fake.sockets.at(-1);
    if (this.#socket !== undefined || socket === undefined || socket.closedWith !== undefined) return;
    if (this.#dead.has(socket)) return;
    this.#socket = socket;
    this.#read = 0;
    socket.welcome();
  }

  readonly #dead = new Set<FakeSocket>();

  drop(): void {
    this.look();
    const socket = this.#socket ?? this.#fake.sockets.at(-1);
    if (socket === undefined || this.#dead.has(socket)) return;
    this.#lose();
    this.#dead.add(socket);
    socket.breakOff();
  }

  /** Does what is asked next. @param reply `false`: the answer is lost, and with it all that follows. @param early the event comes before the answer */
  serve(reply: boolean, early: boolean): void {
    this.look();
    const request = this.#pending.shift();
    if (request === undefined) return;
    const before = `${this.epoch}.${this.rev}`;
    const answer = this.#serve(request);
    const isChanged = before !== `${this.epoch}.${this.rev}`;
    if (!reply) this.#isHalfOpen = true;
    if (isChanged && early && this.subscribed && request.type !== 'subscribe') this.#tell();
    if (request.type === 'subscribe') this.#deliver(answer);
    else this.#deliver({ ...answer, ...(request.id !== undefined && { id: request.id }) });
    if (isChanged && !early && this.subscribed) this.#tell();
    if (request.type === 'send' && answer['type'] === 'send_ack') this.#publish();
    if (request.type === 'subscribe') this.#recover(request.sessions[0]);
  }

  refuse(code: string, retryable: boolean): void {
    this.look();
    const request = this.#pending[0];
    if (request === undefined || (!retryable && !['claim', 'send'].includes(request.type))) return;
    this.#pending.shift();
    this.#deliver({ type: 'error', code, message: '', retryable, ...S, id: request.id });
  }

  takeOver(): void {
    this.look();
    const wasOurs = this.ours && this.state === 'owned';
    this.#own(false);
    if (!this.subscribed) return;
    if (wasOurs) this.#deliver({ type: 'ownership_lost', ...S, reason: 'forced', owner_epoch: this.epoch });
    this.#tell('forced');
  }

  leave(): void {
    this.look();
    if (this.ours || this.state !== 'owned') return;
    this.#free();
    if (this.subscribed) this.#tell('released');
  }

  expire(): void {
    this.look();
    if (this.state === 'held') this.#free();
    if (this.subscribed) this.#tell('expired');
  }

  publish(): void {
    this.look();
    this.history.push(undefined);
    this.#publish();
  }

  #serve(request: Request): Record<string, unknown> {
    const acknowledgement = (type: string) => ({
      type,
      ...S,
      owner: this.ours && this.state === 'owned',
      state: this.state,
      owner_epoch: this.epoch,
      rev: this.rev,
      grace_ms: 30_000,
      ...(this.ours && this.state === 'owned' && { reconnect_token: this.token }),
    });
    const refusal = (code: string, retryable = false) => ({ type: 'error', code, message: '', retryable, ...S });
    switch (request.type) {
      case 'subscribe': {
        const [asked] = request.sessions;
        this.#subscribe(asked);
        const offset = typeof asked?.since === 'object' ? asked.since.offset : this.history.length;
        const recovered = asked?.since === undefined ? {} : { recovered: true };
        return { ...acknowledgement('subscribe_ack'), id: request.id, position: { epoch: 'e', offset }, ...recovered };
      }
      case 'claim':
        if (this.state !== 'free' && !this.ours && !request.force) return refusal('session_owned');
        if (this.state === 'held' && !request.force && this.#attempts.get(request.attempt_id ?? '') !== this.token) {
          return refusal('session_held', true);
        }
        this.#own(true);
        this.#attempts.set(request.attempt_id ?? '', this.token ?? '');
        return acknowledgement('claim_ack');
      case 'release':
        if (!this.ours || this.state !== 'owned') return refusal('not_owner');
        this.#free();
        return { type: 'release_ack', ...S };
      case 'unsubscribe':
        if (this.ours && this.state === 'owned') this.#free();
        this.subscribed = false;
        return { type: 'unsubscribe_ack', ...S };
      case 'send': {
        const key = request.idempotency_key ?? '';
        const known = this.history.indexOf(key) + 1;
        if (known === 0 && (!this.ours || this.state !== 'owned')) return refusal('not_owner');
        const offset = known || this.history.push(key);
        return { type: 'send_ack', ...S, offset, owner_epoch: this.epoch };
      }
      case 'signal':
        return { type: 'signal_ack', ...S, owner: this.state === 'owned' };
    }
  }

  #subscribe(asked: Subscription | undefined): void {
    this.subscribed = true;
    const { reconnect_token: token, attempt_id: attempt = '', claim } = asked ?? {};
    const isOurs = this.ours && (token === this.token || this.#attempts.get(attempt) === this.token);
    if ((isOurs && this.state !== 'free') || (this.state === 'free' && claim !== 'never')) {
      this.#own(true);
      this.#attempts.set(attempt, this.token ?? '');
    }
  }

  #recover(asked: Subscription | undefined): void {
    if (typeof asked?.since !== 'object') return;
    for (let offset = asked.since.offset + 1; offset <= this.history.length; offset++) this.#message(offset);
  }

  #own(ours: boolean): void {
    this.epoch++;
    this.rev = 1;
    this.state = 'owned';
    this.ours = ours;
    this.token = `token-${this.epoch}`;
  }

  #free(): void {
    this.rev++;
    this.state = 'free';
    this.ours = false;
    this.token = undefined;
  }

  #lose(): void {
    if (this.#socket !== undefined) this.#dead.add(this.#socket);
    this.#socket = undefined;
    this.#pending.length = 0;
    this.#isHalfOpen = false;
    this.subscribed = false;
    if (!this.ours || this.state !== 'owned') return;
    this.state = 'held';
    this.rev++;
  }

  #tell(reason = 'claimed'): void {
    const { state, epoch: owner_epoch, rev } = this;
    const owner = this.ours && state === 'owned' ? { owner: true } : {};
    this.#deliver({ type: 'ownership', ...S, state, owner_epoch, rev, reason, ...owner });
  }

  #publish(): void {
    if (this.subscribed) this.#message(this.history.length);
  }

  #message(offset: number): void {
    this.#deliver({ type: 'message', ...S, offset, at: 0, data: null });
  }

  #deliver(message: Answer): void {
    if (this.isUp && !this.#isHalfOpen) this.#socket?.receive(message);
  }
}
