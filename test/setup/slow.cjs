/** Time limit of one test in the projects `process` and `simulation`; a test that needs more says so itself. */
jest.setTimeout(Number(process.env.TELOS_TEST_TIMEOUT_MS ?? 180_000));
