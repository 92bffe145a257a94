/** The client as one minified script, for pages without a build and for measuring it. */
import { join, resolve } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { minify } from 'vite';

const CLIENT = join(resolve(import.meta.dirname, '..'), 'src/client');
const ENTRIES = ['.', './login'] as const;
const TARGET = 'es2022';

/** Of the package's entry points those that a page needs no framework for. */
export type ClientEntry = (typeof ENTRIES)[number];

/**
 * @param format `iife`: with the global `Holdfast`; `esm`: as a bundler takes it over
 * @param entries whose exports it has, all of them
 */
export async function bundleClient(format: 'iife' | 'esm', entries: readonly ClientEntry[] = ENTRIES): Promise<Buffer> {
  const contents = entries.map((entry) => `export * from '${entry}/index.ts';`).join('\n');
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: CLIENT, loader: 'ts' },
    bundle: true,
    minify: true,
    write: false,
    legalComments: 'none',
    logLevel: 'silent',
    target: TARGET,
    format,
    ...(format === 'iife' && { globalName: 'Holdfast' }),
  });
  // A minifier that works by other means finds another 1.5 %.
  const { code, errors } = await minify('holdfast.js', outputFiles[0]?.text ?? '', {
    module: format === 'esm',
    compress: { target: TARGET },
  });
  if (errors[0] !== undefined) throw new Error(errors[0].message);
  return Buffer.from(code);
}

/** In bytes; compressed as servers of static files do it. */
export async function clientSize(
  entries: readonly ClientEntry[],
): Promise<Record<'minified' | 'gzip' | 'brotli', number>> {
  const script = await bundleClient('esm', entries);
  return {
    minified: script.length,
    gzip: gzipSync(script, { level: 9 }).length,
    brotli: brotliCompressSync(script).length,
  };
}
