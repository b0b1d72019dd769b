/** Owns: requests to services under way. */
import { T, unpack, type FromHost, type ServiceAnswer, type SessionId } from '../../protocol/index.js';
import type { RecordedAnswer, ServiceRequest } from '../turn/index.js';
import type { Job } from './job.js';

/** Look-ups in the kernel itself: quick, never recorded. */
export const KERNEL_SERVICE = 'kernel';

interface Request {
  readonly asked: ServiceRequest;
  readonly resume: (answer: RecordedAnswer) => void;
}

export interface ServicePorts {
  send(envelope: FromHost): void;
  defer(task: () => void): void;
}

export class ServiceRequests {
  readonly #requests = new Map<number, Request>();
  #counter = 0;

  constructor(
    private readonly ports: ServicePorts,
    private readonly jobOf: (session: SessionId, no: number) => Job | undefined,
  ) {}

  ask(asked: ServiceRequest, resume: (answer: RecordedAnswer) => void): void {
    const { message, key, service, op, args } = asked;
    const request = ++this.#counter;
    this.#requests.set(request, { asked, resume });
    this.ports.send([T.SERVICE, request, message.session, message.no, key, service, op, args]);
  }

  answered([, request, ok, body]: ServiceAnswer): void {
    const known = this.#requests.get(request);
    if (known === undefined) return;
    this.#requests.delete(request);
    const { asked, resume } = known;
    const answer = { ok, body: body instanceof Uint8Array ? new Uint8Array(body) : body };
    const recorded = asked.service !== KERNEL_SERVICE && (ok || !isUnavailable(body));
    if (recorded) this.jobOf(asked.message.session, asked.message.no)?.record(asked.key, answer);
    this.ports.defer(() => resume(answer));
  }
}

/** Nobody served it: the kernel does not record that, and a later try asks anew. */
function isUnavailable(body: unknown): boolean {
  const wire = body instanceof Uint8Array ? unpack(body) : body;
  return Array.isArray(wire) && wire[0] === 'UNAVAILABLE';
}
