/** Objects that the runtime itself knows by oid. Genesis makes them. */
import type { Oid } from '../../protocol/index.js';

/** Its slots are the names of the image. */
export const LOBBY = '#lobby' as Oid;
/** What every object understands. */
export const TRAITS = '#traits' as Oid;
export const PARENT_SLOT = 'parent*';
export const NOT_UNDERSTOOD_SELECTOR = 'doesNotUnderstand_';
