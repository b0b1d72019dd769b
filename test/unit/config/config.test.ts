/** Configuration: defaults hold, files are in snake_case, what breaks a relation is refused by name. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  defaultConfig,
  loadConfig,
  loadImageConfig,
  parseConfig,
  RELATIONS,
  toFileForm,
  valuesIn,
} from '../../../config/index.js';

const dir = mkdtempSync(join(tmpdir(), 'telos-config-'));
afterAll(() => rmSync(dir, { recursive: true }));

const file = (name: string, content: string): string => {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
};
const badConfig = (message: RegExp): Error =>
  expect.objectContaining({ code: 'BAD_CONFIG', message: expect.stringMatching(message) as string }) as Error;

test('defaults-hold-all-relations', () => {
  expect(RELATIONS.filter(({ holds }) => !holds(defaultConfig))).toEqual([]);
  expect(defaultConfig.link.heartbeatIntervalMs).toBe(1000);
  expect(defaultConfig.supervisor.hosts).toBeGreaterThanOrEqual(1);
});

test('every-relation-names-its-keys-as-they-stand-in-a-file', () => {
  for (const { says } of RELATIONS)
    expect([says, valuesIn(says, defaultConfig)]).toEqual([says, expect.stringMatching(/ is \d/)]);
  for (const { says } of RELATIONS) expect(valuesIn(says, defaultConfig)).not.toContain('absent');
});

test('file-form-and-back', () => {
  const form = toFileForm(defaultConfig);
  expect((form['link'] as Record<string, unknown>)['heartbeat_interval_ms']).toBe(1000);
  expect(parseConfig(form)).toEqual(defaultConfig);
});

test('file-named-by-environment-and-argument-first', () => {
  const one = file('one.json', '{"kernel": {"shards": 8}}');
  const two = file('two.json', '{"kernel": {"shards": 16}}');
  expect(loadConfig({}).kernel.shards).toBe(64);
  expect(loadConfig({ TELOS_CONFIG: one }).kernel.shards).toBe(8);
  expect(loadConfig({ TELOS_CONFIG: one }, two).kernel.shards).toBe(16);
});

test('the-image-has-its-own', () => {
  expect(loadImageConfig(dir, {}).kernel.shards).toBe(64);
  file('config.json', '{"kernel": {"shards": 4}}');
  expect(loadImageConfig(dir, {}).kernel.shards).toBe(4);
  expect(loadImageConfig(dir, { TELOS_CONFIG: file('three.json', '{}') }).kernel.shards).toBe(64);
});

test.each<[string, unknown, RegExp]>([
  ['busy-host-taken-for-dead', { turn: { run_time_ms: 1500 } }, /turn\.run_time_ms must be less than half/],
  ['short-heartbeat', { link: { heartbeat_interval_ms: 100 } }, /turn\.run_time_ms/],
  ['unknown-key', { link: { heartbeat: 1 } }, /link: Unrecognized key: "heartbeat"/],
  ['unknown-group', { links: {} }, /Unrecognized key: "links"/],
  ['text-for-a-number', { kernel: { max_group_turns: 'many' } }, /kernel\.max_group_turns: /],
  ['fraction', { kernel: { strikes: 1.5 } }, /kernel\.strikes/],
  ['negative', { host: { mailbox: -1 } }, /host\.mailbox/],
  [
    'value-is-quoted',
    { kernel: { max_group_turns: 'many', strikes: 1.5 } },
    /\(it is "many"\); kernel\.strikes: .* \(it is 1\.5\)/,
  ],
  ['long-value-is-cut', { host: 'x'.repeat(500) }, /host: .* \(it is "x{99}…\)/],
  [
    'values-of-a-relation',
    { turn: { run_time_ms: 1500 } },
    /\(turn\.run_time_ms is 1500, link\.heartbeat_interval_ms is 1000, link\.liveness is 3\)/,
  ],
  ['no-map', 5, /expected object/],
  ['session-forgotten-too-early', { kernel: { session_expiry_ms: 1000 } }, /client_give_up_ms/],
  [
    'object-larger-than-frame',
    { message: { max_object_bytes: 13 << 20 } },
    /max_object_bytes must be at most three quarters/,
  ],
  ['object-smaller-than-body', { message: { max_object_bytes: 1 << 20 } }, /max_object_bytes must be at least/],
  ['cache-smaller-than-object', { host: { max_cached_bytes: 1 << 20 } }, /max_cached_bytes must be at least/],
  ['cache-larger-than-host', { turn: { resident_bytes: 512 << 20 } }, /max_cached_bytes must be at most a quarter/],
  ['reading-ends-the-host', { turn: { max_loaded_bytes: 512 << 20 } }, /max_loaded_bytes must be at most a quarter/],
  ['object-that-no-turn-may-read', { turn: { max_loaded_bytes: 1 << 20 } }, /max_loaded_bytes must be at least twice/],
  ['lane-smaller-than-frame', { link: { lane_bytes: 1 << 20 } }, /lane_bytes must be at least link\.max_frame_bytes/],
  ['lane-smaller-than-window', { link: { lane_bytes: 32 << 20 } }, /lane_bytes must be at least message\.window_bytes/],
  ['body-larger-than-frame', { message: { max_body_bytes: 16777216 } }, /max_body_bytes/],
])('%s', (_, data, message) => {
  expect(() => parseConfig(data)).toThrow(badConfig(message));
});

test('unreadable-files', () => {
  expect(() => loadConfig({ TELOS_CONFIG: join(dir, 'none.json') })).toThrow(badConfig(/none\.json: .*ENOENT/));
  expect(() => loadConfig({ TELOS_CONFIG: file('broken.json', '{') })).toThrow(badConfig(/broken\.json: /));
});
