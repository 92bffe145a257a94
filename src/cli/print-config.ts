import { Command } from 'commander';
import type { LoadedConfig } from '../config/load.js';
import { masked } from '../config/show.js';
import { SETTING_NAMES } from '../config.js';
import { addSettings, readSettings, SERVE_DEFAULTS } from './settings.js';

function asJson({ config, sources }: LoadedConfig): string {
  const entries = SETTING_NAMES.map((name) => [
    name,
    { value: masked(name, config[name]) ?? null, source: sources[name] },
  ]);
  return JSON.stringify(Object.fromEntries(entries), undefined, 2);
}

function cell(value: unknown): string {
  if (value === undefined) return '-';
  return typeof value === 'string' && !value.includes('\n') ? value : JSON.stringify(value);
}

function asTable({ config, sources }: LoadedConfig): string {
  const rows = SETTING_NAMES.map((name) => [name, sources[name], cell(masked(name, config[name]))]);
  const lines = [['setting', 'source', 'value'], ...rows];
  const widths = [0, 1].map((column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines.map((line) => line.map((text, column) => text.padEnd(widths[column] ?? 0)).join('  ')).join('\n');
}

export function printConfigCommand(): Command {
  const command = new Command('print-config')
    .description('print the settings of `serve` and where each comes from, without secrets')
    .option('--json', 'as JSON: {setting: {value, source}}');
  return addSettings(command, SERVE_DEFAULTS).action(() => {
    const loaded = readSettings(command, SERVE_DEFAULTS);
    process.stdout.write(`${command.opts()['json'] === true ? asJson(loaded) : asTable(loaded)}\n`);
  });
}
