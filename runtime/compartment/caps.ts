/**
 * Built-ins whose work or growth is not bounded by the fuel of their caller, with a bound. Installed after SES has repaired the intrinsics and
 * before they are frozen, so host code in this realm uses them too; without a running method they charge nothing.
 *
 * 1. Work in native loops is charged before it is done, by the length of what is looped over.
 * 2. Lengths are read once: what is checked is what is used. Where an object could answer differently the second time, it is refused.
 * 3. Native loops over iterators become ours: an iterator whose `next` is native could keep them for ever.
 * 4. Built-ins younger than Node 20 are removed, so that an image behaves alike on every Node.
 */
import { capBuffers } from './caps-buffers.js';
import { capCollections } from './caps-collections.js';
import { capJson } from './caps-json.js';
import { capLists } from './caps-lists.js';
import { capObjects } from './caps-objects.js';
import { capPromises } from './caps-promises.js';
import { capRegExp } from './caps-regexp.js';
import { capText } from './caps-text.js';

/** Replaces the methods in place. Answers the constructors that methods see instead of the originals. */
export function installCaps(): Record<string, unknown> {
  capLists();
  capRegExp();
  capObjects();
  capJson();
  capPromises();
  return { ...capText(), ...capCollections(), ...capBuffers() };
}
