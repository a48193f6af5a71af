/** An ONNX model of one node, y = x + x over float32 of any shape, written byte by byte: see onnx.proto3 of the ONNX project. */
function varint(value) {
  const bytes = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest & 127) | 128)
  }
}

const number = (field, value) => Buffer.concat([varint(field << 3), varint(value)])

function nested(field, ...parts) {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)))
  return Buffer.concat([varint((field << 3) | 2), varint(body.length), body])
}

const FLOAT = 1
const IR_VERSION = 8
const OPERATORS_VERSION = 13

function tensor(field, name, shape) {
  const dimensions = shape.map((extent) => nested(1, number(1, extent)))
  return nested(field, nested(1, name), nested(2, nested(1, number(1, FLOAT), nested(2, ...dimensions))))
}

/** The model for tensors of that shape. */
export function doublingModel(shape) {
  const node = nested(1, nested(1, 'x'), nested(1, 'x'), nested(2, 'y'), nested(4, 'Add'))
  const graph = nested(7, node, nested(2, 'doubling'), tensor(11, 'x', shape), tensor(12, 'y', shape))
  return Buffer.concat([number(1, IR_VERSION), graph, nested(8, nested(1, ''), number(2, OPERATORS_VERSION))])
}
