import type { Redis } from 'ioredis';

/**
 * Sends what is written to the connection within one turn of the event loop with one system call at the turn's end.
 * Under load that is many commands in one; a lone command waits for nothing.
 */
export function coalesceWrites(client: Redis): void {
  client.on('connect', () => {
    const { stream } = client;
    const write = stream.write.bind(stream);
    let corked = false;
    stream.write = ((...args: Parameters<typeof write>) => {
      if (!corked) {
        corked = true;
        stream.cork();
        setImmediate(() => {
          corked = false;
          stream.uncork();
        });
      }
      return write(...args);
    }) as typeof stream.write;
  });
}
