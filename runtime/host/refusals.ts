/** Why the host does not run a message, or does not commit what its turn made. */
import { largestBody, TelosError, writePlain, type Bytes, type CommitBody } from '../../protocol/index.js';
import type { Turn } from '../turn/index.js';
import type { Job } from './job.js';

export const stopping = (): TelosError => new TelosError('BUSY', 'the host is about to stop');

export const mailboxFull = ({ target }: Job, mailbox: number): TelosError =>
  new TelosError('BUSY', `${mailbox} messages wait for ${target || 'free-standing turns'} (host.mailbox)`);

export const starved = (job: Job): TelosError =>
  new TelosError(
    'CONFLICT',
    `${String(job)} met other turns' changes ${job.conflicts} times, ${job.grants} of them under a grant`,
  );

/** A commit of nothing but an error, which hangs on nothing that was read. */
export const errorOnly = (error: TelosError): CommitBody => [[], [], [], [], [], [], [], [false, null, error.toWire()]];

/** The commit, or the error in its place when it fits no frame. */
export function commitBytes(job: Job, turn: Turn, body: CommitBody, maxFrameBytes: number): Bytes {
  const bytes = writePlain(body);
  const most = largestBody(maxFrameBytes);
  if (bytes.length <= most) return bytes;
  const what = `the commit of ${String(job)} takes ${bytes.length} bytes of at most ${most}`;
  const error = new TelosError('TOO_LARGE', `${what}; link.max_frame_bytes is ${maxFrameBytes}`);
  return writePlain(turn.failedCommit(error.toWire()));
}
