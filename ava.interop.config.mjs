export default {
  files: ['build/test/interop/**/*.spec.js'],
  workerThreads: false,
  // The foreign peer is one Python process with its own ports and threads; two at once would time each other.
  serial: true,
  concurrency: 1,
  timeout: '5m',
  nodeArguments: ['--enable-source-maps'],
}
