/** The client as one minified script, for pages without a build and for measuring it. */
import { join, resolve } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const CLIENT = join(resolve(import.meta.dirname, '..'), 'src/client');

/**
 * @param format `iife`: with the global `Holdfast`; `esm`: as a bundler takes it over
 * @param names what is taken of the client; everything without
 */
export async function bundleClient(format: 'iife' | 'esm', names = '*'): Promise<Buffer> {
  const { outputFiles } = await build({
    stdin: { contents: `export ${names} from './index.ts'`, resolveDir: CLIENT, loader: 'ts' },
    bundle: true,
    minify: true,
    write: false,
    legalComments: 'none',
    logLevel: 'silent',
    target: 'es2022',
    format,
    ...(format === 'iife' && { globalName: 'Holdfast' }),
  });
  return Buffer.from(outputFiles[0]?.contents ?? []);
}

/** In bytes; compressed as servers of static files do it. */
export async function clientSize(names: string): Promise<Record<'minified' | 'gzip' | 'brotli', number>> {
  const script = await bundleClient('esm', names);
  return {
    minified: script.length,
    gzip: gzipSync(script, { level: 9 }).length,
    brotli: brotliCompressSync(script).length,
  };
}
