/** An audience in a process of its own, so that the server is what is measured and no process has too many sockets. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Audience } from './audience.js';

type Method = 'open' | 'publisher' | 'saturate' | 'publish' | 'pace' | 'rejoin' | 'trickle' | 'leave';
type Arguments<M extends Method> = Parameters<Audience[M]>;
type Answer<M extends Method> = Awaited<ReturnType<Audience[M]>>;

interface Call {
  method: Method;
  args: unknown[];
}

interface Reply {
  value?: unknown;
  error?: string;
}

const SELF = fileURLToPath(import.meta.url);

/** One call at a time. */
export class AudienceProcess {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = fork(SELF, ['audience'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** @throws Error as the audience's method */
  async call<M extends Method>(method: M, ...args: Arguments<M>): Promise<Answer<M>> {
    this.#child.send({ method, args } satisfies Call);
    const [{ value, error }] = (await once(this.#child, 'message')) as [Reply];
    if (error !== undefined) throw new Error(error);
    return value as Answer<M>;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }
}

if (process.argv[1] === SELF && process.argv[2] === 'audience') {
  const audience = new Audience();
  process.on('disconnect', () => process.exit());
  process.on('message', ({ method, args }: Call) => {
    const call = audience[method].bind(audience) as (...all: unknown[]) => Promise<unknown>;
    call(...args).then(
      (value) => process.send?.({ value } satisfies Reply),
      (error: Error) => process.send?.({ error: error.message } satisfies Reply),
    );
  });
}
