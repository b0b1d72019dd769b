/** Stands in for rocksdb inside jest: importing it is harmless, using it is an error. It is tested in spawned processes. */
module.exports = () => {
  throw new Error('rocksdb is native: test it in a spawned process, not inside jest');
};
