#!/usr/bin/env node
/** The command `telos`. */
import { readFileSync } from 'node:fs';
import { fail } from './context.js';
import { makeProgram, run } from './program.js';

/** Relative to dist/clients/cli/. */
const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

// A reader that has gone away (`| head`) is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const argv = process.argv.slice(2);
const json = argv.includes('--json');
run(makeProgram(version, json), argv, json).catch((error: unknown) => fail(error, json));
