export interface ProbeOptions {
  /** Publishes through the command connection. */
  publish(channel: string, payload: string): Promise<unknown>;
  timeoutMs?: number;
}

/** `unknown`: the probe could not be published, which says nothing about delivery. */
export type ProbeResult = 'delivered' | 'lost' | 'unknown';

/**
 * Publishes to itself. A subscription can be dead while its connection looks alive (the wrong server after a
 * failover, a lost subscription): only a message that arrives proves delivery.
 */
export class DeliveryProbe {
  readonly #publish: ProbeOptions['publish'];
  readonly #timeoutMs: number;
  /** By payload: what is on its way. */
  readonly #awaited = new Map<string, () => void>();
  #sequence = 0;

  constructor({ publish, timeoutMs = 2_000 }: ProbeOptions) {
    this.#publish = publish;
    this.#timeoutMs = timeoutMs;
  }

  /** To be called with every message of a probe channel. */
  received(payload: string): void {
    this.#awaited.get(payload)?.();
  }

  /** Ends within the time that publishing takes plus `timeoutMs`. */
  async run(channel: string): Promise<ProbeResult> {
    this.#sequence += 1;
    const payload = String(this.#sequence);
    let delivered = false;
    let timer: NodeJS.Timeout | undefined;
    const arrival = new Promise<void>((resolve) => {
      this.#awaited.set(payload, () => {
        delivered = true;
        resolve();
      });
    });
    try {
      await this.#publish(channel, payload);
      // After a stall the event loop runs this timer before it reads the message that waits in the socket.
      const timeout = new Promise<void>((resolve) => {
        timer = setTimeout(() => setImmediate(resolve), this.#timeoutMs);
      });
      await Promise.race([arrival, timeout]);
      return delivered ? 'delivered' : 'lost';
    } catch {
      return delivered ? 'delivered' : 'unknown';
    } finally {
      clearTimeout(timer);
      this.#awaited.delete(payload);
    }
  }
}
