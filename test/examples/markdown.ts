import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../', import.meta.url);

export interface CodeBlock {
  /** What stands behind the opening fence. */
  readonly language: string;
  readonly code: string;
  /** The line of its first line, from 1. */
  readonly line: number;
  /** The paragraph above it. */
  readonly above: string;
}

export const pathOf = (file: string): string => fileURLToPath(new URL(file, ROOT));
export const textOf = (file: string): string => readFileSync(pathOf(file), 'utf8');

export function codeBlocks(file: string): CodeBlock[] {
  const text = textOf(file);
  return [...text.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map(({ 1: language = '', 2: code = '', index }) => {
    const before = text.slice(0, index);
    const above = before.trimEnd().split('\n\n').at(-1) ?? '';
    return { language, code, line: before.split('\n').length + 1, above };
  });
}

/** The cells of the first table below a heading, without its header. */
export function tableBelow(file: string, heading: string): string[][] {
  const below = textOf(file).split(`\n${heading}\n`)[1] ?? '';
  const [, table = ''] = /^\|.*\n\|[-|]+\|\n((?:\|.*\n)+)/m.exec(below.split(/^#/m)[0] ?? '') ?? [];
  const cells = (row: string) => row.split('|').slice(1, -1);
  return table
    .split('\n')
    .filter(Boolean)
    .map((row) => cells(row).map((cell) => cell.trim()));
}

/** What a text names in backquotes. */
export const quoted = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
