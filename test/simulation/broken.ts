/** What can be broken on purpose around the kernel or in a host, to show that the checker finds it; and the rule that does. */
export const BROKEN = {
  /** A host reads the lobby's shape only after it was told the names. */
  lateListing: 'result',
  /** When a quarantine host dies the kernel believes that nobody ran on it. */
  blameless: 'strikes',
  /** Who greets again is read from the journal, though its session is in memory. */
  forgottenSession: 'liveness',
  /** The journal keeps every saved reply. */
  keptReplies: 'leftover',
  /** Who looks through the journal's turns finds none. */
  blindUndo: 'undo',
  /** A dead letter that is gone is still read. */
  undeadLetters: 'letter',
  /** A full disk says that it has written. */
  lyingDisk: 'durability',
  /** A kernel that lost its guardian is left alive beside the next. */
  twoKernels: 'liveness',
  /** The kernel measures durations by the wall clock. */
  wallClock: 'deadline',
} as const;

export type Broken = keyof typeof BROKEN | '';
