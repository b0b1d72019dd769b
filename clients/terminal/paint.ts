/** Colours, decided once for each stream: on for terminals, off for pipes and where the user says so (NO_COLOR, `TERM=dumb`). */
import pc from 'picocolors';

export type Paint = ReturnType<typeof pc.createColors>;

export function paintFor(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): Paint {
  const off = env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '';
  return pc.createColors(stream.isTTY === true && !off && env['TERM'] !== 'dumb');
}

export const plain: Paint = pc.createColors(false);
