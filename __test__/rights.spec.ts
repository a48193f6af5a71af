import { createHash, createHmac } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { type AllowOptions, type ListenOptions, type MemoryRegion, TcpContext, type TcpEndpoint } from 'memlane'
import { file } from './support/files'
import { endpoint, thrown, url } from './support/pair'
import { header, preface, PREFACE_BYTES, RawConnection, READ, writeRequest } from './support/raw'

const SECRETS = { trainer: 'the first secret', viewer: 'the second secret', guest: 'the third secret' }
type Name = keyof typeof SECRETS
const NAMES = Object.keys(SECRETS) as Name[]

const [OK, NO_SUCH_REGION, ACCESS_DENIED] = [0, 1, 3]

async function target(t: ExecutionContext, options: ListenOptions = { tokens: SECRETS }): Promise<TcpEndpoint> {
  return endpoint(t, options)
}

/** A peer of the owner's that came with the token of that name. */
async function comingAs(t: ExecutionContext, name: Name, owner: TcpEndpoint) {
  const initiator = await endpoint(t, { tokens: { [name]: SECRETS[name] } })
  return initiator.connect(url(owner))
}

/** A connection in our hands that has proved the token of that name. */
async function rawAs(name: Name, port: number): Promise<RawConnection> {
  const connection = await RawConnection.open(port)
  const ours = preface({ flags: 1, tokenHint: createHash('sha256').update(name).digest().readUInt32LE(0) })
  connection.write(ours)
  const theirs = await connection.take(PREFACE_BYTES)
  const key = createHash('sha256').update(SECRETS[name]).digest()
  connection.write(createHmac('sha256', key).update('memlane i').update(ours).update(theirs).digest())
  await connection.take(32)
  return connection
}

/** How a read and a write of the region end, by its address alone. */
async function statusesAs(name: Name, owner: TcpEndpoint, { address }: MemoryRegion): Promise<number[]> {
  const connection = await rawAs(name, owner.port)
  // In one segment.
  connection.write(Buffer.concat([header(READ, 1, address), writeRequest(address, Buffer.of(1))]))
  const read = await connection.takeStatus()
  if (read.status === OK) await connection.take(1)
  const write = await connection.takeStatus()
  connection.destroy()
  return [read.status, write.status]
}

test('a region is there for the tokens that allow names, and for nobody else', async (t) => {
  const owner = await target(t)
  const region = owner.alloc('weights', 8, { access: 'read', allow: ['trainer', 'viewer'] })
  owner.alloc('open', 4, { access: 'read' })
  for (const name of NAMES) {
    const peer = await comingAs(t, name, owner)
    t.is((await peer.read('open')).byteLength, 4, name)
    if (name === 'guest') {
      t.deepEqual([...peer.regions.keys()], ['open'])
      await t.throwsAsync(peer.read('weights').wait(), { code: 'ERR_REGION_NOT_FOUND' })
      t.deepEqual(await statusesAs(name, owner, region), [NO_SUCH_REGION, NO_SUCH_REGION])
    } else {
      t.is(peer.regions.get('weights')?.access, 'read')
      t.is((await peer.read('weights')).byteLength, 8, name)
      t.deepEqual(await statusesAs(name, owner, region), [OK, ACCESS_DENIED])
    }
  }
  t.is(region.access, 'read')
  t.deepEqual(region.allow, { trainer: 'read', viewer: 'read' })
  t.true(Object.isFrozen(region.allow))
  t.is(owner.alloc('more', 1).allow, undefined)
})

test('each token may have rights of its own', async (t) => {
  const owner = await target(t)
  const region = owner.alloc('weights', 8, { allow: { trainer: 'readwrite', viewer: 'read' } })
  t.is(region.access, 'readwrite')
  const trainer = await comingAs(t, 'trainer', owner)
  await trainer.write('weights', new Uint8Array(8).fill(7))
  const viewer = await comingAs(t, 'viewer', owner)
  t.is(viewer.regions.get('weights')?.access, 'read')
  t.deepEqual([...(await viewer.read('weights'))], Array(8).fill(7))
  await t.throwsAsync(viewer.write('weights', new Uint8Array(8)).wait(), { code: 'ERR_ACCESS', message: /which grants read\)/ })
  t.deepEqual(await statusesAs('trainer', owner, region), [OK, OK])
  t.deepEqual(await statusesAs('viewer', owner, region), [OK, ACCESS_DENIED])
  t.deepEqual(await statusesAs('guest', owner, region), [NO_SUCH_REGION, NO_SUCH_REGION])
  t.deepEqual([...new Uint8Array(region.buffer)], [1, ...Array<number>(7).fill(7)])
})

test('what a peer may reach depends on the token that it dials with, not on others that it knows', async (t) => {
  const owner = await target(t)
  owner.alloc('weights', 8, { access: 'read', allow: ['trainer'] })
  for (const [tokens, found] of [
    [{ trainer: SECRETS.trainer, guest: SECRETS.guest }, true],
    [{ guest: SECRETS.guest, trainer: SECRETS.trainer }, false],
  ] as const) {
    const peer = await (await endpoint(t, { tokens })).connect(url(owner))
    t.is(peer.regions.has('weights'), found)
  }
})

test('tensors and files are for the tokens that they are for', async (t) => {
  const owner = await target(t)
  const shape = [2]
  owner.alloc('tensor', { dtype: 'int8', shape, allow: { trainer: 'write', viewer: 'read' } })
  const path = file(t, Buffer.from('bytes of a file'))
  const mapped = await owner.mapFile('file', path, { allow: ['viewer'] })
  t.is(mapped.access, 'read')
  t.deepEqual(mapped.allow, { viewer: 'read' })
  await owner.mapFile('written', path, { allow: { viewer: 'read', trainer: 'readwrite' } })
  const of = async (name: Name) => {
    const peer = await comingAs(t, name, owner)
    return { peer, listed: [...peer.regions].map(([region, { access }]) => `${region} ${access}`).sort() }
  }
  const [trainer, viewer, guest] = [await of('trainer'), await of('viewer'), await of('guest')]
  t.deepEqual(trainer.listed, ['tensor write', 'written readwrite'])
  t.deepEqual(viewer.listed, ['file read', 'tensor read', 'written read'])
  t.deepEqual(guest.listed, [])
  t.deepEqual((await viewer.peer.readTensor('tensor')).shape, shape)
  await trainer.peer.write('written', Buffer.from('BYTES'))
  await t.throwsAsync(viewer.peer.write('written', Buffer.from('b')).wait(), { code: 'ERR_ACCESS' })
  t.is(Buffer.from(await viewer.peer.read('file')).toString(), 'BYTES of a file')
  for (const name of ['file', 'written']) await t.throwsAsync(guest.peer.read(name).wait(), { code: 'ERR_REGION_NOT_FOUND' })
})

test('the endpoint info lists what everybody may reach, and for a token on request what that one may', async (t) => {
  const owner = await target(t, { tokens: SECRETS, name: 'owner of rights' })
  owner.alloc('open', 4, { access: 'read' })
  owner.alloc('weights', 8, { allow: { trainer: 'readwrite', viewer: 'read' } })
  const listed = (as?: string) => {
    const regions = Object.entries(owner.endpointInfo(as === undefined ? {} : { as }).mr_info)
    return Object.fromEntries(regions.map(([name, { access }]) => [name, access]))
  }
  t.deepEqual(listed(), { open: 'read' })
  t.deepEqual(listed('guest'), { open: 'read' })
  t.deepEqual(listed('viewer'), { open: 'read', weights: 'read' })
  t.deepEqual(listed('trainer'), { open: 'read', weights: 'readwrite' })
  // Whoever has the info for everybody, or a name, finds his own all the same.
  const initiator = await endpoint(t, { tokens: { viewer: SECRETS.viewer } })
  for (const where of [owner.endpointInfo(), owner.endpointInfo({ as: 'trainer' }), { name: 'owner of rights' }]) {
    const peer = await initiator.connect(where)
    t.is(peer.regions.get('weights')?.access, 'read')
    t.is((await peer.read('weights')).byteLength, 8)
  }
  t.is(thrown(() => owner.endpointInfo({ as: 'nobody' })).code, 'ERR_INVALID_ARG_VALUE')
  t.is(thrown(() => owner.endpointInfo({ as: 5 as unknown as string })).code, 'ERR_INVALID_ARG_TYPE')
})

test('a peer on the legacy wire has no token, and so nothing that is for some tokens', async (t) => {
  const owner = await target(t, { tokens: SECRETS, legacy: true })
  const open = owner.alloc('open', 4, { access: 'read' })
  const weights = owner.alloc('weights', 8, { access: 'read', allow: NAMES })
  const { host, port } = owner
  const mr_info = Object.fromEntries([open, weights].map(({ name, address, length }) => [name, { addr: address, length }]))
  const peer = await (await endpoint(t)).connect({ host, port, mr_info })
  t.is((await peer.read('open')).byteLength, 4)
  await t.throwsAsync(peer.read('weights').wait(), { code: 'ERR_PEER_CLOSED' })
  t.true(owner.stats().rejected['no_such_region']! > 0)
})

test('endpoints of a context have the names of its tokens', async (t) => {
  const context = new TcpContext({ tokens: SECRETS })
  const owner = await target(t, { context })
  owner.alloc('weights', 8, { access: 'read', allow: ['viewer'] })
  t.is((await (await comingAs(t, 'viewer', owner)).read('weights')).byteLength, 8)
  t.false((await comingAs(t, 'guest', owner)).regions.has('weights'))
})

test('a token that replaces another under a new name has to be named where it is to have rights', async (t) => {
  const owner = await target(t)
  const [before, after] = [owner.alloc('before', 1, { access: 'read', allow: ['trainer'] }), { access: 'read', allow: ['trainer', 'viewer'] }]
  owner.alloc('after', 1, after as AllowOptions)
  const renewed = await comingAs(t, 'viewer', owner)
  t.false(renewed.regions.has(before.name))
  t.true(renewed.regions.has('after'))
})

test('what allow cannot be is refused at the call, and no message shows what might be a secret', async (t) => {
  const owner = await target(t)
  const [unnamed, none] = [await endpoint(t, { token: SECRETS.trainer }), await endpoint(t)]
  const access = 'read'
  const TYPE = 'ERR_INVALID_ARG_TYPE'
  const VALUE = 'ERR_INVALID_ARG_VALUE'
  for (const [from, options, code, expected] of [
    [none, { access, allow: ['trainer'] }, VALUE, 'has none that has a name'],
    [unnamed, { access, allow: [''] }, VALUE, 'has none that has a name'],
    [none, { access, allow: {} }, VALUE, 'has none that has a name'],
    [owner, { access, allow: [] }, VALUE, 'names no token'],
    [owner, { allow: {} }, VALUE, 'names no token'],
    [owner, { access, allow: [SECRETS.trainer] }, VALUE, 'name 1 of 1 is not the name of a token of this endpoint; there are "trainer", "viewer", "guest"'],
    [owner, { access, allow: ['trainer', 'Trainer'] }, VALUE, 'name 2 of 2'],
    [owner, { allow: { [SECRETS.viewer]: 'read' } }, VALUE, 'name 1 of 1'],
    [owner, { allow: { trainer: 'hush-hush' } }, VALUE, 'a right must be one of read, write, readwrite. Leave out'],
    [owner, { access, allow: [5] }, TYPE, 'name 1 of 1 must be the name of a token; got "number"'],
    [owner, { access, allow: SECRETS.trainer }, TYPE, 'allow must be an array of names'],
    [owner, { access, allow: 5 }, TYPE, 'allow must be an array of names'],
    [owner, { access, allow: null }, TYPE, 'allow must be an array of names'],
    [owner, { access: 'none', allow: ['trainer'] }, VALUE, "that is 'none'"],
    [owner, { access, allow: { trainer: 'read' } }, VALUE, 'one of them is enough'],
    [owner, { allow: { trainer: 'none' } }, VALUE, 'one of read, write, readwrite'],
    [owner, { allow: { trainer: 'all' } }, VALUE, 'one of read, write, readwrite'],
    [owner, { allow: { trainer: undefined } }, VALUE, 'one of read, write, readwrite'],
  ] as [TcpEndpoint, AllowOptions, string, string][]) {
    const calls = [
      () => from.alloc('x', 8, options),
      () => from.alloc('x', { dtype: 'int8', shape: [8], ...options }),
      () => void from.mapFile('x', '/dev/null', options),
    ]
    for (const call of calls) {
      const error = thrown(call)
      t.is(error.code, code, error.message)
      t.true(error.message.includes(expected), `${error.message} lacks: ${expected}`)
      for (const secret of Object.values(SECRETS)) t.false(error.message.includes(secret), error.message)
    }
  }
  // That of a file has an access by default, that of memory has none.
  t.true(thrown(() => owner.alloc('x', 8, { allow: ['trainer'] })).message.includes("that is 'none'"))
  t.deepEqual(Object.keys(owner.endpointInfo({ as: 'trainer' }).mr_info), [])
})
