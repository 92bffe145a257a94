import { Command } from 'commander';
import type { LoadedConfig } from '../config/load.js';
import { masked } from '../config/show.js';
import { SETTING_NAMES } from '../config.js';
import { addSettings, readSettings, SERVE_DEFAULTS } from './settings.js';
import { table } from './table.js';

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
  return table([['setting', 'source', 'value'], ...rows]);
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
