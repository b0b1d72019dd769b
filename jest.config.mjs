/**
 * Three projects. `unit`: pure and fast. `simulation`: the seeded schedules. `process`: starts the real thing from dist/, one
 * file at a time (ops/test.mjs passes --runInBand). Native add-ons are never imported here: they run in spawned processes.
 * Run one file: node --experimental-vm-modules node_modules/jest/bin/jest.js test/unit/protocol/values.test.ts
 */
const common = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    '^zeromq$': '<rootDir>/test/setup/zeromq.cjs',
    '^rocksdb$': '<rootDir>/test/setup/rocksdb.cjs',
  },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/image/'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        swcrc: false,
        jsc: { target: 'es2022', parser: { syntax: 'typescript' }, keepClassNames: true },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
};

const project = (displayName, testMatch, setupFilesAfterEnv = []) => ({
  ...common,
  displayName,
  testMatch,
  setupFilesAfterEnv,
});
const slow = ['<rootDir>/test/setup/slow.cjs'];

export default {
  testTimeout: 20_000,
  projects: [
    project('unit', ['<rootDir>/test/*.test.ts', '<rootDir>/test/unit/**/*.test.ts']),
    project('simulation', ['<rootDir>/test/simulation/**/*.test.ts'], slow),
    project('process', ['<rootDir>/test/process/**/*.test.ts'], slow),
  ],
};
