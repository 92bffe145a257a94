import { existsSync } from 'node:fs';
import { createConnection } from 'node:net';

interface RedisContainer {
  url: string;
  stop(): Promise<void>;
}

/** Redis in a container; undefined where Docker does not answer within a second or cannot run it. */
export async function startRedisContainer(): Promise<RedisContainer | undefined> {
  if (!(await dockerAnswers())) return undefined;
  try {
    return await start();
  } catch (error) {
    console.warn(`Docker answers, but runs no Redis: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

async function start(): Promise<RedisContainer> {
  const { GenericContainer } = await import('testcontainers');
  const container = await new GenericContainer('redis:8-alpine')
    .withCommand(['redis-server', '--save', '', '--maxmemory-policy', 'noeviction', '--protected-mode', 'no'])
    .withExposedPorts(6379)
    .start();
  return {
    url: `redis://${container.getHost()}:${container.getMappedPort(6379)}`,
    stop: async () => {
      await container.stop();
    },
  };
}

/** Looked at before testcontainers is loaded, which takes seconds to find out that there is none. */
function dockerAnswers(): Promise<boolean> {
  const { protocol, pathname, hostname, port } = new URL(process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock');
  if (protocol === 'unix:' && !existsSync(pathname)) return Promise.resolve(false);
  const address = protocol === 'unix:' ? { path: pathname } : { host: hostname, port: Number(port || 2375) };
  return new Promise((resolve) => {
    const socket = createConnection(address);
    const answer = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.setTimeout(1_000, () => answer(false));
    socket.on('error', () => answer(false));
    socket.on('data', (data) => answer(data.toString().startsWith('HTTP/1.1 200')));
    socket.write('GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n');
  });
}
