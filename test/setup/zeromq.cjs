/** Stands in for zeromq inside jest: importing it is harmless, using it is an error. Sockets are tested in spawned processes. */
const refuse = () => {
  throw new Error('zeromq is native: test it in a spawned process, not inside jest');
};
class Refused {
  constructor() {
    refuse();
  }
}
for (const name of [
  'Router',
  'Dealer',
  'Pair',
  'Reply',
  'Request',
  'Publisher',
  'Subscriber',
  'Push',
  'Pull',
  'Context',
  'Observer',
  'Proxy',
]) {
  exports[name] = Refused;
}
exports.curveKeyPair = refuse;
exports.context = {};
exports.capability = {};
exports.version = '0';
