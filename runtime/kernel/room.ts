/** What goes to a host or client has to fit into a frame: what is put together from parts is split here, what can't be is refused. */
import {
  ABSENT,
  changeBytes,
  contentBytes,
  largestBody,
  T,
  textBytes,
  TelosError,
  type Changed,
  type Content,
  type Loaded,
  type NameState,
  type ObjectState,
  type Oid,
  type SlotChange,
  type WireError,
} from '../../protocol/index.js';
import type { Config } from '../../config/index.js';
import type { Message } from './message.js';
import type { AcceptedState, KObject } from './objects.js';

/** Why a body of so many bytes can't be sent, if it can't. */
export function unsendable(what: string, bytes: number, { link }: Config): TelosError | undefined {
  const most = largestBody(link.maxFrameBytes);
  if (bytes <= most) return undefined;
  return new TelosError(
    'TOO_LARGE',
    `${what} takes ${bytes} bytes of at most ${most}; link.max_frame_bytes is ${link.maxFrameBytes}`,
    { remedy: 'ask for less at once, or raise link.max_frame_bytes in the configuration' },
  );
}

/** What a message takes when it is sent to a host again, with one more answer of a service. */
export function bytesWith(message: Message, key: string, body: Content): number {
  let bytes = message.args.length + textBytes(key) + contentBytes(body);
  for (const [known, , recorded] of message.recorded) bytes += textBytes(known) + contentBytes(recorded);
  return bytes;
}

/**
 * The state of these objects and names in as many LOADED as it takes. All of them are in memory. An object that is too large for any is
 * refused: that happens only to one that was stored under larger limits.
 */
export function loadedOf(
  state: AcceptedState,
  request: number,
  oids: readonly Oid[],
  names: readonly string[],
  config: Config,
): Loaded[] {
  const answers = new LoadedAnswers(request, largestBody(config.link.maxFrameBytes));
  for (const oid of oids) {
    const { bytes } = state.objects.get(oid) as KObject;
    const refusal = unsendable(`the object ${oid}`, bytes, config);
    if (refusal === undefined) answers.object(state.stateOf(oid), bytes);
    else answers.refusal(oid, refusal.toWire());
  }
  for (const name of names) answers.name(state.nameState(name));
  return answers.all();
}

const REFUSAL_BYTES = 1024;
const NAME_BYTES = 128;

class LoadedAnswers {
  readonly #done: Loaded[] = [];
  #last: Loaded;
  #bytes = 0;

  constructor(
    private readonly request: number,
    private readonly most: number,
  ) {
    this.#last = [T.LOADED, request, [], [], []];
  }

  object(state: ObjectState, bytes: number): void {
    this.#room(bytes)[2].push(state);
  }

  name(state: NameState): void {
    this.#room(textBytes(state[0]) + NAME_BYTES)[3].push(state);
  }

  refusal(oid: Oid, error: WireError): void {
    this.#room(REFUSAL_BYTES)[4].push([oid, error]);
  }

  all(): Loaded[] {
    return [...this.#done, this.#last];
  }

  #room(bytes: number): Loaded {
    if (this.#bytes > 0 && this.#bytes + bytes > this.most) {
      this.#done.push(this.#last);
      this.#last = [T.LOADED, this.request, [], [], []];
      this.#bytes = 0;
    }
    this.#bytes += bytes;
    return this.#last;
  }
}

/**
 * What holders of the object are told, in one CHANGED or several. All but the last name no shape and no parents (0), so that a turn that looks
 * at the object between two of them is in conflict.
 */
export function changedOf(object: KObject, changes: SlotChange[], { link }: Config): Changed[] {
  const most = largestBody(link.maxFrameBytes);
  const parts: SlotChange[][] = [];
  let from = 0;
  let bytes = 0;
  for (let i = 0; i < changes.length; i++) {
    const size = changeBytes(changes[i] as SlotChange);
    if (i > from && bytes + size > most) {
      parts.push(changes.slice(from, i));
      from = i;
      bytes = 0;
    }
    bytes += size;
  }
  const { oid, shape, parents } = object;
  return [
    ...parts.map((part): Changed => [T.CHANGED, oid, ABSENT, ABSENT, part]),
    [T.CHANGED, oid, shape, parents, from === 0 ? changes : changes.slice(from)],
  ];
}
