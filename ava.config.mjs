export default {
  files: ['build/test/**/*.spec.js', '!build/test/interop/**'],
  // A process each: the addon's teardown with its environment is itself under test, and a crash must name its file.
  workerThreads: false,
  timeout: '2m',
  nodeArguments: ['--expose-gc', '--enable-source-maps'],
}
