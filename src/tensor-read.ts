import { bytesOf, checkKeys, checkName, checkSignal, checkTimeout, DEFAULT_TIMEOUT_MS, typeError } from './arguments.js'
import { attached, readStaged, transfer } from './completions.js'
import type { OperationSubject } from './diagnostics.js'
import { abortedError } from './errors.js'
import { begin, followed, fulfil, type TransferFuture } from './future.js'
import { NamedOperation } from './named.js'
import { native } from './native.js'
import { Settled } from './operation.js'
import type { ReadTensorOptions, RegionInfo } from './options.js'
import { checkStorable, lazily, MemoryRegion, regionHandle } from './region.js'
import type { Remote } from './remote.js'
import {
  checkRows,
  classOf,
  elementsOf,
  holds,
  isDType,
  sliceOf,
  tensorError,
  tensorText,
  type Rows,
  type Tensor,
  type TensorData,
  type TensorKind,
} from './tensor.js'
import { READ, takeInto } from './transfer.js'

/** What is told of it. */
function reading(remote: Remote, name: string): OperationSubject {
  return { operation: 'readTensor', peer: remote.label, region: name }
}

/** A remote tensor on its way into memory of its own, a region or an array. */
class TensorRead extends NamedOperation<Tensor> {
  readonly #name: string
  readonly #into: MemoryRegion | TensorData | undefined
  readonly #rows: Rows | undefined
  /** Set when it is issued. */
  #kind: TensorKind = { dtype: 'uint8', shape: [] }

  constructor(remote: Remote, name: string, timeoutMs: number, into: MemoryRegion | TensorData | undefined, rows: Rows | undefined) {
    super(remote, 'read', timeoutMs)
    this.#name = name
    this.#into = into
    this.#rows = rows
  }

  protected override get region(): string {
    return this.#name
  }

  about(): OperationSubject {
    return reading(this.remote, this.#name)
  }

  start(region: RegionInfo | undefined): this {
    if (region !== undefined) this.#launch(region)
    else this.ask(this.#name)
    return this
  }

  protected override resume(): void {
    const region = this.remote.regions.get(this.#name)
    if (region === undefined) throw this.notFound(this.#name)
    this.checkRepeatable()
    this.#launch(region)
  }

  protected override finished(op: number, value: number): void {
    const { dtype, shape } = this.#kind
    const into = this.#into
    if (into instanceof MemoryRegion) {
      fulfil(this, lazily({ dtype, shape } as Tensor, 'data', into.viewable, () => into.typed()))
      return
    }
    let data: TensorData
    if (into !== undefined) {
      takeInto(op, value, bytesOf(into, 'into'))
      data = into
    } else if (value === 0) {
      native.discard(attached(), op)
      data = elementsOf(dtype, new ArrayBuffer(0), 0, 0)
    } else {
      data = elementsOf(dtype, native.take(attached(), op), 0, value)
    }
    fulfil(this, { dtype, shape, data } as Tensor)
  }

  #launch({ addr, length, dtype, shape }: RegionInfo): void {
    const what = `the region ${JSON.stringify(this.#name)} of ${this.remote.label}`
    if (dtype === undefined || shape === undefined) throw tensorError(`${what} has no dtype: it is read with peer.read`)
    if (!isDType(dtype)) throw tensorError(`${what} is ${tensorText({ dtype, shape })}, a dtype that is not known here`)
    const rows = this.#rows
    const part = rows === undefined ? { kind: { dtype, shape }, offset: 0, length } : sliceOf({ dtype, shape }, rows, what)
    this.#check(rows === undefined ? what : `rows [${rows.join(', ')}] of ${what}`, part.kind, part.length)
    const peer = this.remote.lifetime.use()
    const into = this.#into
    const address = addr + part.offset
    if (into instanceof MemoryRegion) {
      const region = regionHandle(into)
      this.#kind = part.kind
      transfer(begin(this), peer, READ, region, 0, address, part.length, this.timeoutMs)
    } else {
      this.#kind = part.kind
      readStaged(begin(this), peer, address, part.length, this.timeoutMs)
    }
  }

  /** Refuses an `into` for another tensor than that one, which is all or a part of the region. */
  #check(what: string, kind: TensorKind, length: number): void {
    const into = this.#into
    if (into === undefined) return
    const wanted = `${what} ${this.#rows === undefined ? 'is' : 'are'} ${tensorText(kind)}, ${length} bytes`
    if (into instanceof MemoryRegion) {
      const { dtype, shape } = into
      const isSame = dtype === kind.dtype && shape?.length === kind.shape.length && shape.every((extent, index) => extent === kind.shape[index])
      if (isSame) return
      const given = dtype === undefined || shape === undefined ? 'a region without dtype' : `a region of ${tensorText({ dtype, shape })}`
      throw tensorError(`${wanted}; into is ${given}, ${into.length} bytes`)
    }
    if (!holds(kind.dtype, into) || into.byteLength !== length) {
      throw tensorError(`${wanted}; into is ${classOf(into)} [${into.length}], ${into.byteLength} bytes`)
    }
  }
}

function checkInto(into: unknown): MemoryRegion | TensorData {
  if (into instanceof MemoryRegion) {
    checkStorable(into, 'into')
    return into
  }
  if (!ArrayBuffer.isView(into) || into instanceof DataView) throw typeError('into', 'a MemoryRegion or a typed array', into)
  bytesOf(into, 'into')
  return into as unknown as TensorData
}

/** `peer.readTensor`. */
export function readTensor(remote: Remote, name: string, options: ReadTensorOptions = {}): TransferFuture<Tensor> {
  checkKeys(options, ['rows', 'into', 'timeoutMs', 'signal'])
  const rows = options.rows === undefined ? undefined : checkRows(options.rows)
  const into = options.into === undefined ? undefined : checkInto(options.into)
  const timeoutMs = options.timeoutMs === undefined ? DEFAULT_TIMEOUT_MS : checkTimeout(options.timeoutMs)
  const signal = options.signal === undefined ? undefined : checkSignal(options.signal)
  remote.lifetime.use()
  const region = remote.regions.get(name)
  if (region === undefined) checkName(name)
  if (signal?.aborted === true) return Settled.failed(abortedError('read', signal.reason, remote.label), reading(remote, name))
  const read = new TensorRead(remote, name, timeoutMs, into, rows).start(region)
  return followed(read, signal)
}
