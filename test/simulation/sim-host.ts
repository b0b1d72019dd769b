/** A host process in the simulation: a model host, and its link to the kernel that started it. It ends when that link does. */
import { T, type FromHost, type ToHost } from '../../protocol/envelope.js';
import { MAGIC, PROTOCOL_VERSION } from '../../protocol/frames.js';
import { ModelHost, type HostPorts } from './model-host.js';
import { SimProcess } from './process.js';
import { realHost } from './real-host.js';
import { decodeScript } from './script.js';
import type { SimKernel } from './sim-kernel.js';
import { GreetingLink } from './sim-link.js';
import type { World } from './world.js';

/** Host incarnations that one life of the kernel may give out. */
export const INCARNATIONS_PER_LIFE = 1000;

export interface HostBirth {
  readonly name: string;
  readonly incarnation: number;
  readonly quarantine: boolean;
}

export class SimHost extends SimProcess {
  readonly host: { receive(envelope: ToHost): void };
  #link: GreetingLink | null = null;
  /** The message that ended it. */
  doomedBy = '';
  /** The id of the run of each token, for the real host, whose methods do not know it. */
  readonly #runs = new Map<string, string>();

  constructor(
    private readonly world: World,
    readonly birth: HostBirth,
    parent: SimKernel,
  ) {
    super(birth.name, world.clock);
    const ports: HostPorts = {
      send: (envelope: FromHost) => this.do(() => void this.#link?.send(envelope)),
      after: (delay, run) => this.after(delay, run),
      doom: (kind, id) => this.#doom(kind, this.#runs.get(id) ?? id),
      lateListing: world.options.broken === 'lateListing',
      note: (fact) => void world.history.attempts.set(fact.attempt, fact),
      effect: (message, body) =>
        void world.history.effects.push({
          life: Math.floor(birth.incarnation / INCARNATIONS_PER_LIFE),
          message,
          body,
        }),
      random: world.random.fork(birth.incarnation),
    };
    const { config } = world;
    this.host = world.options.realHosts
      ? realHost(
          config,
          birth.incarnation,
          ports,
          () => world.clock.touch(),
          () => world.clock.now,
        )
      : new ModelHost(birth.incarnation, { ...config.host, ...config.kernel }, ports);
    this.after(world.random.between(5, 40), () => this.#greet(parent));
  }

  #doom(kind: 'poison' | 'hang', id: string): void {
    if (this.doomedBy !== '') return;
    const { incarnation, quarantine } = this.birth;
    this.doomedBy = id;
    this.world.history.dooms.push({ life: Math.floor(incarnation / INCARNATIONS_PER_LIFE), id, quarantine });
    this.world.trace(() => `${this.name} is ended by ${id} (${kind})`);
    if (kind === 'poison') this.die();
    else this.hang();
  }

  #receive(envelope: ToHost): void {
    if (this.world.options.realHosts && envelope[0] === T.RUN)
      this.#runs.set(decodeScript(envelope[7])[0], `${envelope[1]}:${envelope[2]}`);
    this.host.receive(envelope);
  }

  #greet(parent: SimKernel): void {
    const role = this.birth.quarantine ? 'quarantine' : 'host';
    this.#link = new GreetingLink(this, this.world.config.link, 'worker', this.world.random.unit, {
      connect: () => this.world.connect(this, parent),
      hello: () => [MAGIC, PROTOCOL_VERSION, role, this.birth.incarnation, '', '', 0, this.birth.name, []],
      welcomed: () => undefined,
      work: (envelope) => this.#receive(envelope as ToHost),
      refused: () => this.die(),
      lost: () => this.die(),
    });
  }
}
