/**
 * Owns: which CURVE keys may be named in a greeting, because a connection has proved them.
 *
 * ZeroMQ knows which connection proved which key (the User-Id of ZAP), but this binding does not hand it out with a message. So it is counted:
 *   V1  a key is proved from the handshake of a connection until the last of its connections is known to be over;
 *   V2  a key that is admitted no more is proved no more, and nothing is kept of it.
 */
export class Proven {
  /** Connections that the handshake let in and that are not known to be over. */
  private readonly open = new Map<string, number>();
  private readonly namedBy = new WeakMap<object, string>();

  constructor(private readonly admitted: (key: string) => boolean) {}

  get size(): number {
    return this.open.size;
  }

  /** A handshake proved this key. */
  connected(key: string): void {
    for (const other of this.open.keys()) if (!this.admitted(other)) this.open.delete(other);
    this.open.set(key, (this.open.get(key) ?? 0) + 1);
  }

  has(key: string): boolean {
    return this.open.has(key) && this.admitted(key);
  }

  /** A connection was let in that greeted under a key that is proved. */
  greeted(connection: object, key: string): void {
    this.namedBy.set(connection, key);
  }

  /** The connection broke or said goodbye. One that is merely silent may greet anew without another handshake. */
  over(connection: object): void {
    const key = this.namedBy.get(connection);
    if (key === undefined) return;
    this.namedBy.delete(connection);
    const left = (this.open.get(key) ?? 0) - 1;
    if (left > 0) this.open.set(key, left);
    else this.open.delete(key);
  }
}
