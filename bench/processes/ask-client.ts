/** A client process that keeps N asks under way, through the client library with CURVE on, as a user has it. */
import { connect } from '../../clients/library/index.js';
import { options, report, sustained } from './options.js';

interface AskOptions {
  readonly image: string;
  readonly oids: readonly string[];
  readonly selector: 'increment' | 'read';
  readonly outstanding: number;
  readonly seconds: number;
}

interface Counter {
  increment(by: number): Promise<number>;
  read(): Promise<number>;
}

const { image, oids, selector, outstanding, seconds } = options<AskOptions>();
const telos = await connect({ image });
const counters = oids.map((oid) => telos.actor<Counter>(oid));
const counter = (i: number): Counter => counters[i % counters.length] as Counter;
const operation = selector === 'read' ? (i: number) => counter(i).read() : (i: number) => counter(i).increment(1);
report(await sustained(operation, outstanding, seconds));
await telos.close();
