#!/usr/bin/env node
/** The process's entry: reads the command line and runs a command. Exit codes: 0 done, 1 failed, 2 wrong usage. */
import { fileLimit, MIN_FILES } from './ops/file-limit.js';

const limit = fileLimit();
if (limit !== undefined && limit < MIN_FILES) {
  // Before anything else is loaded, which would fail somewhere for want of files.
  process.stderr.write(
    `holdfast: only ${limit} files may be open; at least ${MIN_FILES} are needed: raise ulimit -n\n`,
  );
  process.exit(1);
}
await import('./cli/program.js');
