/** How Node is started for a process that runs methods: the supervisor does it, and so do tests of compartments. */
const MiB = 1024 * 1024;
/** Part of the resident bound that the heap may take: it ends before the bound does. */
const HEAP_SHARE = 0.75;
const LEAST_HEAP_MIB = 64;

/**
 * Flags of a process that runs methods, whose resident memory is bounded by `residentBytes`. A regular expression that backtracks without end is
 * handed to V8's linear engine; recursion without end meets V8's limit before the system's.
 */
export const hostFlags = (residentBytes: number): string[] => [
  '--enable-experimental-regexp-engine-on-excessive-backtracks',
  '--stack-size=900',
  // Turns on their way die young, but not before a young generation of the default size is full: then each is copied, and marked later.
  '--max-semi-space-size=64',
  `--max-old-space-size=${Math.max(LEAST_HEAP_MIB, Math.floor((residentBytes * HEAP_SHARE) / MiB))}`,
];
