/** The objects of a new image. Their services may come later: a primitive that nobody serves answers UNAVAILABLE with the remedy. */
import type { Definition } from './object.js';
import { to } from './object.js';

const TRAITS = '#traits';
const PLLM = '#pllm';
const RETRIEVABLE = '#retrievable';

const traits: Definition = {
  oid: TRAITS,
  parent: null,
  doc: 'What every object understands: it is the last parent of all of them.',
  primitives: {
    clone: [
      'clone',
      'clone({name?, …slots}): a new object with this one as its parent; a name is entered in the lobby. Answers a reference to it.',
    ],
    setSlot: [
      'setSlot',
      'setSlot(name, value): sets an own slot; a name that ends in * makes a parent slot and takes a reference.',
    ],
    setMethod: [
      'setMethod',
      "setMethod(selector, source, {description?}): sets a method, such as 'async (self, x) => self.total + x'.",
    ],
    removeSlot: ['removeSlot', 'removeSlot(name): removes an own slot; answers whether there was one.'],
    slots: ['slots', 'slots(): names of the own slots.'],
    parents: ['parents', 'parents(): references to the parents, in the order of look-up.'],
    describe: ['describe', 'describe(): parents, own slots with kind and text, and all selectors that are understood.'],
    history: ['history', 'history(limit?): the turns that wrote this object, latest first.'],
    doesNotUnderstand_: [
      'doesNotUnderstand_',
      'doesNotUnderstand_(message): sent when look-up fails; the default answers NOT_UNDERSTOOD.',
    ],
  },
};

const lobby: Definition = {
  oid: '#lobby',
  parent: TRAITS,
  doc: 'The root: its slots are the names of the image. What can not be reached from here is garbage.',
};

const genesis: Definition = {
  oid: '#genesis',
  parent: TRAITS,
  doc: 'The first object. Clone it to begin something of your own.',
  data: { breath: ['first', 'Which breath of the image this object came with.'] },
  methods: {
    greet: [
      "async (self, who) => `Hello, ${who === undefined || who === null ? 'stranger' : who}! I am genesis, the first object of this image. Clone me to begin.`",
      'greet(who): a greeting.',
    ],
  },
};

const pllm: Definition = {
  oid: PLLM,
  parent: TRAITS,
  doc: 'The prototype of whatever thinks: an object with this one among its parents can ask a language model.',
  data: {
    model: [null, 'Reference to the model (or null for the default of the mind).'],
    temperature: [0.7, 'Spread of the draws: 0 always takes the likeliest token.'],
    max_tokens: [512, 'Longest answer, in tokens.'],
    system_prompt: ['', 'What the model is told about itself before each question.'],
  },
  primitives: {
    infer_: ['mind.infer', 'infer_(prompt, options?): the answer of the model.'],
    reflectOn_: [
      'mind.reflectOn',
      'reflectOn_(subject): the model looks at a text, an object or a failure and answers what it sees.',
    ],
    fineTuneWith_: ['mind.fineTuneWith', 'fineTuneWith_(examples): trains an adapter on examples.'],
    ask: ['mind.ask', 'ask(text): a question in plain words.'],
  },
};

const persona = (name: string, role: string, keep: string, temperature: number): Definition => ({
  oid: `#${name}`,
  parent: PLLM,
  doc: `The persona ${name.toUpperCase()}: ${role}`,
  data: {
    role: [role, 'What this persona does in the generative cycle and in talk.'],
    keep_alive: [keep, 'When the governor keeps its model loaded.'],
    temperature: [temperature, 'Spread of the draws: 0 always takes the likeliest token.'],
    system_prompt: [
      `You are ${name.toUpperCase()} of TelOS. ${role}`,
      'What the model is told about itself before each question.',
    ],
  },
});

const memory: Definition = {
  oid: '#memory',
  parent: TRAITS,
  doc: 'The memory of the image: finds records by meaning and by words. Its truth is the journal; indexes are made from it.',
  data: {
    embedder: ['default', 'Id of the embedder whose vectors are in the indexes.'],
    records: [0, 'Number of records that are indexed.'],
    publication: [null, 'The on-disk index that is in use: its generation, seq and checksums.'],
  },
  primitives: {
    embed: ['memory.embed', 'embed(text): the vector of a text.'],
    search: ['memory.search', 'search(text, {limit?}): the records nearest in meaning and words, best first.'],
    remember: ['memory.remember', 'remember(text, {kind?, about?}): stores an episode.'],
  },
};

const backup: Definition = {
  oid: '#backup',
  parent: TRAITS,
  doc: 'Back-ups of the image.',
  data: {
    schedule: ['daily', 'How often a back-up is made: never, hourly, daily, weekly.'],
    keep: [14, 'How many back-ups are kept.'],
    last: [null, 'The last one: its id, time and seq.'],
  },
  primitives: {
    now: ['backup.now', 'now({kind?}): makes a back-up, full or incremental.'],
    list: ['backup.list', 'list(): the back-ups there are.'],
    verify: ['backup.verify', 'verify(id): reads a back-up through and checks it.'],
  },
};

const retrievable: Definition = {
  oid: RETRIEVABLE,
  parent: TRAITS,
  doc: 'Whatever has this one among its parents is found by memory.',
  data: { text: ['', 'The text by which it is found.'] },
  methods: {
    to_text_chunks: [
      "async (self) => (typeof self.text === 'string' && self.text !== '' ? [self.text] : [])",
      'to_text_chunks(): the texts by which memory indexes this object.',
    ],
  },
};

const hypervector: Definition = {
  oid: '#hypervector',
  parent: TRAITS,
  doc: 'A holographic vector of phases (FHRR): names, pairs and sets as points of one large space.',
  data: {
    dimensions: [10_000, 'Number of phases.'],
    seed: [null, 'Identity from which the phases of an atom are drawn.'],
    phases: [null, 'The phases, as bytes; null until they are asked for.'],
    terms: [0, 'How many vectors were bundled into this one.'],
  },
  primitives: {
    bind: ['memory.bind', 'bind(other): the pair of both.'],
    unbind: ['memory.unbind', 'unbind(other): what was bound to other.'],
    bundle: ['memory.bundle', 'bundle(others): the set of all.'],
    permute: ['memory.permute', 'permute(steps): the same in another place of a sequence.'],
    similarity: ['memory.similarity', 'similarity(other): from -1 to 1.'],
  },
};

const contextFractal: Definition = {
  oid: '#context_fractal',
  parent: RETRIEVABLE,
  doc: 'An episode: something that happened, with its text, time and cause.',
  data: {
    kind: ['episode', 'episode, method, failure, note.'],
    time: [null, 'When it happened, ms since the epoch.'],
    cause: [null, 'The turn that it came from.'],
    about: [[], 'References to the objects that it is about.'],
    importance: [0, 'From 0 to 10.'],
  },
};

const conceptFractal: Definition = {
  oid: '#concept_fractal',
  parent: RETRIEVABLE,
  doc: 'An abstraction: what several episodes have in common.',
  data: {
    label: ['', 'A short name for people.'],
    members: [[], 'References to the episodes that it was made from.'],
    hypervector: [null, 'Reference to the bundle of its members.'],
    cohesion: [0, 'Mean similarity of its members.'],
    pending: [[], 'References to episodes that may join.'],
  },
};

const morph: Definition = {
  oid: '#morph',
  parent: TRAITS,
  doc: 'Something to see and touch on the canvas.',
  data: {
    x: [0, 'Left edge, in pixels of its owner.'],
    y: [0, 'Upper edge, in pixels of its owner.'],
    width: [120, 'In pixels.'],
    height: [80, 'In pixels.'],
    color: ['#88aacc', 'Fill, as CSS colour.'],
    label: ['', 'Text that it shows.'],
    submorphs: [[], 'References to the morphs on it, the lowest first.'],
    subject: [null, 'Reference to the object that it shows.'],
  },
  methods: {
    moveTo_: ['async (self, x, y) => { self.x = x; self.y = y; return self; }', 'moveTo_(x, y): puts it there.'],
    moveBy_: ['async (self, dx, dy) => { self.x += dx; self.y += dy; return self; }', 'moveBy_(dx, dy): moves it.'],
    resizeTo_: [
      'async (self, width, height) => { self.width = width; self.height = height; return self; }',
      'resizeTo_(width, height): in pixels.',
    ],
    addMorph_: [
      'async (self, morph) => { self.submorphs.push(morph); return self; }',
      'addMorph_(morph): puts it on this one, on top.',
    ],
  },
};

const covenant: Definition = {
  oid: '#covenant',
  parent: TRAITS,
  doc: 'What only a person with the author right changes.',
  data: {
    protected: [
      [to('#lobby'), to(TRAITS), to(PLLM), to('#covenant')],
      'Objects whose existing slots only a person changes.',
    ],
    protected_slots: [
      { all: ['generate'] },
      'Slots that only a person changes, by object; `all` for those of every object.',
    ],
    gates: [['parse', 'audit', 'try', 'examples'], 'What a generated method has to pass, in order.'],
    repair_rounds: [4, 'Drafts after the first before a cycle is given up.'],
    pillars: [
      [
        'a living image, changed while it runs',
        'prototypes instead of classes',
        'nothing durable is ever lost',
        'what is not understood is learnt',
      ],
      'What the image is about, in plain words.',
    ],
  },
};

export const definitions: readonly Definition[] = [
  lobby,
  traits,
  genesis,
  pllm,
  persona('alfred', 'Specifies, oversees and may veto; speaks for the image.', 'always', 0.3),
  persona('brick', 'Writes methods: one at a time, to the specification.', 'while a cycle runs', 0.2),
  persona('robin', 'Explores, associates and proposes.', 'while someone talks with it', 0.9),
  persona('babs', 'Finds facts and names their sources.', 'while a search runs', 0.1),
  memory,
  backup,
  retrievable,
  hypervector,
  contextFractal,
  conceptFractal,
  morph,
  covenant,
];
