//! The bytes of an input, read as a program: where they end, all that follows is zero.

/// What is left of an input.
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    /// A number below `bound`, out of one byte.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let taken = self.bytes(N);
        bytes[..taken.len()].copy_from_slice(taken);
        bytes
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    /// So many bytes, or as many as there are.
    pub(super) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, left) = self.0.split_at(count.min(self.0.len()));
        self.0 = left;
        taken
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// How a stream is cut: up to 15 sizes, taken in turn.
    pub(super) fn cuts(&mut self) -> Cuts {
        let count = self.below(16);
        Cuts {
            sizes: (0..count).map(|_| size(self.byte())).collect(),
        }
    }

    /// The most bytes that one call moves.
    pub(super) fn step(&mut self) -> usize {
        match self.byte() {
            0 => usize::MAX,
            byte => size(byte),
        }
    }
}

/// 1 to 200, then in strides up to 7 KiB: sizes on both sides of what the engine keeps in one piece.
fn size(byte: u8) -> usize {
    match usize::from(byte) {
        small @ 0..200 => small + 1,
        large => (large - 198) * 128,
    }
}

/// The sizes of the pieces that a stream comes in; of none it comes whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Cuts {
    sizes: Vec<usize>,
}

impl Cuts {
    pub(super) fn pieces<'a>(&self, mut stream: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut sizes = self.sizes.clone().into_iter().cycle();
        std::iter::from_fn(move || {
            let size = sizes.next().unwrap_or(usize::MAX);
            let (piece, left) = stream.split_at(size.min(stream.len()));
            stream = left;
            (!piece.is_empty()).then_some(piece)
        })
    }
}
