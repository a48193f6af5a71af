/**
 * `import { RedisDirectory } from 'memlane/redis'`: names in a Redis server, by a client that is the program's own.
 *
 * @module redis
 */
export { RedisDirectory } from './src/redis-directory.js'

export type { IoredisClient, NodeRedisClient, RedisClient, RedisDirectoryOptions } from './src/redis-directory.js'
