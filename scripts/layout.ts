/** The repository's own rules: who imports whom, by the tables of ARCHITECTURE.md, and how long a file may be. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';

const MAX_LINES = 400;
const CHECKED_FOLDERS = ['src', 'test', 'scripts', 'bench', 'deploy', 'k8s', 'examples', 'docs', '.ci'];
const TEXT_FILE = /(\.(tsx?|lua|html|css|sh|cfg|md|json|ya?ml)|\/run)$/;
/** Written so that this file does not find itself. */
const UNFINISHED = new RegExp(`\\b(${['TO', 'DO'].join('')}|${['FIX', 'ME'].join('')}|${['X', 'XX'].join('')})\\b`);
const BUILT_IN = new Set(builtinModules);
const WITHOUT_BUILT_INS = new Set(['lib', 'protocol', 'client', 'testing', 'web']);
const ROOT_FILES = '.';

export interface ImportRules {
  /** Folder of src → places that it may import: folders, files without their ending, or `anything`. */
  folders: ReadonlyMap<string, readonly string[]>;
  /** npm package → folders that may use it. */
  packages: ReadonlyMap<string, readonly string[]>;
}

export interface Import {
  /** Relative to src, such as `store/redis/bus.ts`. */
  file: string;
  /** Likewise for a file of src; else the module's name. */
  target: string;
  internal: boolean;
}

/** The paths of the files below a folder; of a file, its own. */
function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  if (statSync(folder).isFile()) return [folder];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesBelow(path);
    return [path];
  });
}

function names(cell: string): string[] {
  const plain = cell.replaceAll('`', '').trim();
  return plain === 'nothing' ? [] : plain.split(/\s*,\s*/);
}

/** The rows of the Markdown table whose header is exactly `columns`. @throws Error when there is none */
function tableRows(markdown: string, columns: readonly [string, string]): [string, string][] {
  const lines = markdown.split('\n');
  const start = lines.indexOf(`| ${columns.join(' | ')} |`);
  if (start === -1) throw new Error(`ARCHITECTURE.md has no table with the columns ${columns.join(', ')}`);
  const rows: [string, string][] = [];
  for (const line of lines.slice(start + 2)) {
    const [, left, right] = /^\| (.+?) \| (.+?) \|$/.exec(line) ?? [];
    if (left === undefined || right === undefined) break;
    rows.push([left, right]);
  }
  return rows;
}

export function readRules(markdown: string): ImportRules {
  const rules = (columns: readonly [string, string]) =>
    new Map(tableRows(markdown, columns).flatMap(([left, right]) => names(left).map((name) => [name, names(right)])));
  return { folders: rules(['folder', 'may import']), packages: rules(['npm package', 'only in']) };
}

const SPECIFIER =
  /^\s*(?:import|export)\b[^'";]*?from\s+'([^']+)'|^\s*import\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;

/** Every import of a file's text, types included. */
export function importsOf(file: string, text: string): Import[] {
  return [...text.matchAll(SPECIFIER)].map((match) => {
    const specifier = match[1] ?? match[2] ?? match[3] ?? '';
    if (!specifier.startsWith('.')) return { file, target: specifier, internal: false };
    return { file, target: join(dirname(file), specifier).replace(/\.js$/, '.ts'), internal: true };
  });
}

function folderOf(file: string): string {
  return file.includes('/') ? (file.split('/')[0] ?? '') : ROOT_FILES;
}

function isBelow(file: string, place: string): boolean {
  if (place === ROOT_FILES) return !file.includes('/');
  return file.startsWith(`${place}/`) || file === `${place}.ts`;
}

/** @returns what is wrong with an import, or undefined */
export function violation({ file, target, internal }: Import, { folders, packages }: ImportRules): string | undefined {
  const folder = folderOf(file);
  const allowed = folders.get(folder);
  if (allowed === undefined) return `src/${file}: the folder ${folder} is not in the import table of ARCHITECTURE.md`;
  if (internal) {
    const places = [folder, ...allowed];
    if (allowed.includes('anything') || places.some((place) => isBelow(target, place))) return undefined;
    return `src/${file} imports ${target}; ${folder} may import ${allowed.join(', ') || 'nothing'}`;
  }
  const name = target.replace(/^node:/, '').split('/');
  if (target.startsWith('node:') || BUILT_IN.has(name[0] ?? '')) {
    return WITHOUT_BUILT_INS.has(folder) ? `src/${file} imports ${target}, which browsers do not have` : undefined;
  }
  const owner = target.startsWith('@') ? name.slice(0, 2).join('/') : (name[0] ?? '');
  const users = packages.get(owner);
  if (users === undefined)
    return `src/${file}: the package ${owner} is not in the table of npm packages of ARCHITECTURE.md`;
  if (users.some((place) => isBelow(file, place))) return undefined;
  return `src/${file} imports ${owner}, which only ${users.join(', ')} may use`;
}

function importProblems(root: string): string[] {
  const src = join(root, 'src');
  const rules = readRules(readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8'));
  const files = filesBelow(src).filter((path) => /\.tsx?$/.test(path));
  const imports = files.flatMap((path) => importsOf(relative(src, path), readFileSync(path, 'utf8')));
  const missing = imports.filter(
    ({ internal, target }) => internal && ![target, `${target}x`].some((file) => existsSync(join(src, file))),
  );
  return [
    ...missing.map(({ file, target }) => `src/${file} imports ${target}, which does not exist`),
    ...imports.flatMap((one) => violation(one, rules) ?? []),
  ];
}

/** Lines that are neither blank nor only a comment. */
export function codeLines(text: string): number {
  return text.split('\n').filter((line) => !/^\s*($|\/\/|\/?\*|--)/.test(line)).length;
}

function fileProblems(name: string, text: string): string[] {
  const problems = text
    .split('\n')
    .flatMap((line, i) => (UNFINISHED.test(line) ? [`${name}:${i + 1} is unfinished`] : []));
  const lines = /\.(tsx?|lua)$/.test(name) ? codeLines(text) : 0;
  if (lines > MAX_LINES) problems.push(`${name} has ${lines} lines of code; ${MAX_LINES} are allowed`);
  return problems;
}

function tidinessProblems(root: string): string[] {
  const documents = readdirSync(root).filter((name) => name.endsWith('.md'));
  const files = [...documents, ...CHECKED_FOLDERS].flatMap((name) => filesBelow(resolve(root, name)));
  const texts = files.filter((path) => TEXT_FILE.test(path) && !path.endsWith('package-lock.json'));
  return texts.flatMap((path) => fileProblems(relative(root, path), readFileSync(path, 'utf8')));
}

/** One line for each violation. */
export function layoutProblems(root: string): string[] {
  return [...importProblems(root), ...tidinessProblems(root)];
}
