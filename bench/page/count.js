/** Counts messages, by the client or by a WebSocket with nothing on top. */
const url = `${location.origin.replace('http', 'ws')}/v1/connect`;
const TICK_MS = 5;

/** A connection without a network: says what the server would, at a pace. */
class Loopback {
  /** What its listeners took so far, ms. */
  static busyMs = 0;
  static answers = {};
  static frames = [];
  #listeners = new Map();

  constructor() {
    queueMicrotask(() => {
      this.#emit('open', {});
      this.#say(Loopback.answers.welcome);
    });
  }

  addEventListener(type, listener) {
    this.#listeners.set(type, listener);
  }

  send(text) {
    const { type, id, data } = JSON.parse(text);
    const answer = Loopback.answers[type];
    if (answer !== undefined) queueMicrotask(() => this.#say({ ...answer, id }));
    if (type === 'signal') this.#stream(data);
  }

  close() {}

  #stream({ count, perSecond }) {
    const startedMs = performance.now();
    let said = 0;
    const timer = setInterval(() => {
      const tickMs = performance.now();
      const due = Math.min(count, Math.floor(((tickMs - startedMs) * perSecond) / 1_000));
      for (; said < due; said += 1) this.#emit('message', { data: Loopback.frames[said] });
      Loopback.busyMs += performance.now() - tickMs;
      if (said === count) clearInterval(timer);
    }, TICK_MS);
  }

  #say(message) {
    this.#emit('message', { data: JSON.stringify(message) });
  }

  #emit(type, event) {
    this.#listeners.get(type)?.(event);
  }
}

/** Resolves when `count` have come, with how long that took from the first one on. */
function counter(count) {
  let heard = 0;
  let firstMs = 0;
  let done;
  const all = new Promise((resolve) => {
    done = resolve;
  });
  const onMessage = () => {
    heard += 1;
    if (heard === 1) firstMs = performance.now();
    if (heard === count) done(performance.now() - firstMs);
  };
  return { onMessage, all };
}

const ways = {
  client(wish, onMessage, WebSocket) {
    const client = globalThis.Holdfast.createClient({ url, WebSocket });
    const session = client.session('bench:1');
    session.on('message', onMessage);
    void session.signal(wish);
    return () => client.close();
  },
  bare(wish, onMessage, WebSocket) {
    const socket = new WebSocket(url, 'holdfast.v1');
    socket.addEventListener('message', ({ data }) => {
      if (JSON.parse(data).type === 'message') onMessage();
    });
    socket.addEventListener('open', () => socket.send(JSON.stringify({ type: 'signal', data: wish })));
    return () => socket.close();
  },
};

/** What a connection without a network says: answers by what they answer, and `count` messages like that one. */
globalThis.prepare = (answers, message, count) => {
  Loopback.answers = answers;
  Loopback.frames = Array.from({ length: count }, (_, index) => JSON.stringify({ ...message, offset: index + 1 }));
};

/** @returns how long it took, how much of that in listeners, and how long each task over 50 ms took */
globalThis.measure = async (way, wish) => {
  const longTasksMs = [];
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longTasksMs.push(duration);
  });
  observer.observe({ type: 'longtask' });
  const { onMessage, all } = counter(wish.count);
  Loopback.busyMs = 0;
  const close = ways[way](wish, onMessage, wish.perSecond === undefined ? WebSocket : Loopback);
  const ms = await all;
  close();
  // What was observed last is told in a task of its own.
  await new Promise((resolve) => setTimeout(resolve, 100));
  observer.disconnect();
  return { ms, busyMs: Loopback.busyMs, longTasksMs };
};
