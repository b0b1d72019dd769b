/** The session of the README, as a stranger copies it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMMAND, ROOT, cleanUp, run, temporary } from './support/processes.js';

afterAll(cleanUp);

/** The first block of JavaScript in README.md, one expression a line, comments away. */
function sessionOfReadme(): string {
  const block = /```js\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))?.[1] ?? '';
  const lines: string[] = [];
  let open = '';
  for (const line of block.split('\n')) {
    const code = line.replace(/\s+\/\/ .*$/, '');
    if (code === '') continue;
    open += (open === '' ? '' : ' ') + code.trim() + (/[{(,;]$/.test(code.trim()) || open === '' ? '' : ';');
    if (balanced(open)) {
      lines.push(open.replace(/;$/, ''));
      open = '';
    }
  }
  return `${lines.join('\n')}\n`;
}

function balanced(code: string): boolean {
  let depth = 0;
  for (const char of code) depth += '({['.includes(char) ? 1 : ')}]'.includes(char) ? -1 : 0;
  return depth === 0;
}

test('readme-session: what the README shows is what happens, and a second start remembers it', async () => {
  const image = join(temporary(), 'image');
  const first = await run(process.execPath, [COMMAND, 'up', '--repl', '--image', image], { input: sessionOfReadme() });
  expect(first.code).toBe(0);
  const answers = first.stdout.split('\n');
  expect(answers).toEqual(expect.arrayContaining(['42', '101']));
  expect(first.stdout + first.stderr).toContain('RangeError: deposit needs a positive amount');
  const second = await run(process.execPath, [COMMAND, 'up', '--repl', '--image', image], {
    input: 'await savings.balance()\nawait acct.balance()\n',
  });
  expect(second.stdout.split('\n')).toEqual(expect.arrayContaining(['141', '2']));
  expect(second.code).toBe(0);
});
