import { sha256 } from '../support/raw-random'
import { bytesOf, content, contentKey, type Info, withWheel } from './support'

withWheel('endpoint info crosses as JSON both ways, whichever side connects first', async (t, rig) => {
  for (const first of ['memlane', 'wheel', 'both'] as const) {
    const endpoint = await rig.endpoint()
    const region = endpoint.alloc('ours', 4096, { access: 'read' })
    bytesOf(region).set(content('ours', 4096))
    const wheel = await rig.wheel()
    await wheel.region('theirs', 4096)
    await wheel.fill('theirs', contentKey('theirs'), 4096)

    const ours = JSON.stringify(endpoint.endpointInfo())
    const theirs = JSON.stringify(await wheel.info())
    const dialWheel = () => endpoint.connect(JSON.parse(theirs) as Info)
    const dialMemlane = () => wheel.connect(JSON.parse(ours))
    let peer
    if (first === 'memlane') {
      peer = await dialWheel()
      t.true(await dialMemlane())
    } else if (first === 'wheel') {
      t.true(await dialMemlane())
      peer = await dialWheel()
    } else {
      const [dialled, connected] = await Promise.all([dialWheel(), dialMemlane()])
      peer = dialled
      t.true(connected)
    }
    t.is(sha256(await peer.read('theirs')), sha256(content('theirs', 4096)), first)
    const read = await wheel.read([{ local: 'theirs', remote: 'ours', remoteOffset: 0, localOffset: 0, length: 4096 }])
    t.is(await wheel.settle(read), 0, first)
    t.is(await wheel.sha256('theirs', 0, 4096), sha256(content('ours', 4096)), first)
  }
})

withWheel('memlane publishes the keys that the wheel knows, and only regions that somebody may touch', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const shared = endpoint.alloc('shared', 4096, { access: 'readwrite' })
  endpoint.alloc('secret', 4096, { access: 'none' })
  const info = JSON.parse(JSON.stringify(endpoint.endpointInfo())) as Info
  t.is(info.host, '127.0.0.1')
  t.is(info.port, endpoint.port)
  t.deepEqual(Object.keys(info.mr_info), ['shared'])
  t.like(info.mr_info.shared, { addr: shared.address, length: 4096 })
})

withWheel('names outside ASCII and names of object internals are regions like any other, both ways', async (t, rig) => {
  const names = ['__proto__', 'constructor', 'веса/слой 0', '権重', '😀', ' ', 'a"b\\c']
  const endpoint = await rig.endpoint()
  const wheel = await rig.wheel()
  for (const name of names) {
    bytesOf(endpoint.alloc(name, 4096, { access: 'read' })).set(content(`ours ${name}`, 4096))
    await wheel.region(name, 4096)
    await wheel.fill(name, contentKey(`theirs ${name}`), 4096)
  }
  const peer = await rig.rendezvous(endpoint, wheel)
  for (const name of names) {
    t.is(sha256(await peer.read(name)), sha256(content(`theirs ${name}`, 4096)), name)
    const read = await wheel.read([{ local: name, remote: name, remoteOffset: 0, localOffset: 0, length: 4096 }])
    t.is(await wheel.settle(read), 0, name)
    t.is(await wheel.sha256(name, 0, 4096), sha256(content(`ours ${name}`, 4096)), name)
  }
})

withWheel('info without the memlane key is dialled with the legacy wire; the wheel itself is counted as legacy', async (t, rig) => {
  const endpoint = await rig.endpoint()
  endpoint.alloc('ours', 4096, { access: 'read' })
  const wheel = await rig.wheel()
  // So that { host, port } alone is nobody's info.
  t.deepEqual((await wheel.info()).mr_info, {})
  await wheel.region('theirs', 4096)
  await wheel.fill('theirs', contentKey('theirs'), 4096)
  const info = await wheel.info()
  t.false('memlane' in info)
  const peer = await rig.rendezvous(endpoint, wheel)
  // A native preface would be taken for a header by the wheel, and no read on that connection answered.
  t.is(sha256(await peer.read('theirs')), sha256(content('theirs', 4096)))
  const read = await wheel.read([{ local: 'theirs', remote: 'ours', remoteOffset: 0, localOffset: 0, length: 4096 }])
  t.is(await wheel.settle(read), 0)
  t.true(endpoint.stats().connections.legacy >= 1)
})

withWheel('connecting to a wheel that has gone fails with ERR_CONNECT', async (t, rig) => {
  const endpoint = await rig.endpoint()
  const wheel = await rig.wheel()
  const info = await wheel.info()
  await wheel.crash()
  await t.throwsAsync(async () => endpoint.connect(info), { code: 'ERR_CONNECT' })
})
