import { fileURLToPath } from 'node:url';
import type { InlineConfig } from 'vite';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/**
 * For vite: the example as it is, with the client's sources in place of its package. What vite writes goes to `folder`.
 * @param gateway address of the WebSocket endpoint; undefined: the example's own
 */
export function reactExample(folder: string, gateway?: string): InlineConfig {
  return {
    root: `${ROOT}/examples/react`,
    logLevel: 'error',
    cacheDir: `${folder}/cache`,
    ...(gateway !== undefined && { define: { 'import.meta.env.VITE_GATEWAY': JSON.stringify(gateway) } }),
    resolve: {
      alias: [
        { find: 'holdfast-client/react', replacement: `${ROOT}/src/client/react/index.ts` },
        { find: 'holdfast-client', replacement: `${ROOT}/src/client/index.ts` },
      ],
    },
    build: { outDir: `${folder}/dist` },
    server: { host: '127.0.0.1', port: 0, watch: null, hmr: false, fs: { allow: [ROOT] } },
  };
}
