//! Steps over one value at memory speed, resuming at any byte.
//!
//! Skipping is not validating: it finds where strings end and brackets balance, and nothing else.

use wide::{u8x16, u8x32};

const BLOCK: usize = 64;
const LANE: usize = 16;

/// A value being stepped over, whatever it is.
pub(super) enum Skip {
    /// A string: ends with its closing quote.
    Text { opened: bool, escaped: bool },
    /// An object or array: ends where its brackets balance.
    Brackets(Brackets),
    /// A number, `true`, `false` or `null`: ends before the first byte that cannot belong to it.
    Word,
}

impl Skip {
    pub(super) fn text() -> Self {
        Self::Text { opened: false, escaped: false }
    }

    /// How to step over the value that begins with `first`, if a value can.
    pub(super) fn starting(first: u8) -> Option<Self> {
        match first {
            b'"' => Some(Self::text()),
            b'{' | b'[' => Some(Self::Brackets(Brackets::default())),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Some(Self::Word),
            _ => None,
        }
    }

    /// How many of `bytes` belong to the value if it ends within them; `None` when all do and it goes on.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Text { opened, escaped } => text(opened, escaped, bytes),
            Self::Brackets(brackets) => brackets.advance(bytes),
            Self::Word => {
                bytes.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'))
            }
        }
    }
}

fn text(opened: &mut bool, escaped: &mut bool, bytes: &[u8]) -> Option<usize> {
    let mut at = usize::from(!*opened);
    *opened = true;
    loop {
        if *escaped && at < bytes.len() {
            *escaped = false;
            at += 1;
        }
        let step = quote_or_backslash(bytes.get(at..)?)?;
        at += step + 1;
        if bytes[at - 1] == b'"' {
            return Some(at);
        }
        *escaped = true;
    }
}

fn quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    let (lanes, tail) = bytes.as_chunks::<LANE>();
    for (index, lane) in lanes.iter().enumerate() {
        let lane = u8x16::new(*lane);
        let found = (lane.simd_eq(u8x16::splat(b'"')) | lane.simd_eq(u8x16::splat(b'\\'))).to_bitmask();
        if found != 0 {
            return Some(index * LANE + found.trailing_zeros() as usize);
        }
    }
    let found = tail.iter().position(|&byte| byte == b'"' || byte == b'\\')?;
    Some(lanes.len() * LANE + found)
}

/// Three words carry everything from one block to the next.
#[derive(Default, Clone, Copy)]
pub(super) struct Brackets {
    /// Brackets open now.
    depth: u64,
    /// All ones within a string, else zero.
    in_string: u64,
    /// One if the next byte is escaped, else zero.
    escaped: u64,
}

impl Brackets {
    fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        let (blocks, tail) = bytes.as_chunks::<BLOCK>();
        // A copy, so that it stays in registers.
        let mut state = *self;
        for (index, block) in blocks.iter().enumerate() {
            if let Some(end) = state.block(block) {
                return Some(index * BLOCK + end);
            }
        }
        let end = tail.iter().position(|&byte| state.byte(byte));
        *self = state;
        end.map(|end| blocks.len() * BLOCK + end + 1)
    }

    /// Steps over one byte; true if it ends the value.
    fn byte(&mut self, byte: u8) -> bool {
        // As in blocks, an escape only matters to a quote or another backslash.
        if std::mem::take(&mut self.escaped) == 1 && matches!(byte, b'"' | b'\\') {
            return false;
        }
        match byte {
            b'\\' => self.escaped = 1,
            b'"' => self.in_string = !self.in_string,
            b'{' | b'[' if self.in_string == 0 => self.depth += 1,
            b'}' | b']' if self.in_string == 0 => {
                self.depth -= 1;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }

    /// Steps over a block; how many of its bytes belong to the value if it ends here.
    #[inline]
    fn block(&mut self, block: &[u8; BLOCK]) -> Option<usize> {
        let bytes = Lanes::of(block);
        let quotes = bytes.equal(b'"');
        let backslashes = bytes.equal(b'\\');
        let escaping = self.escaped != 0 || backslashes.any();
        let mut quotes = quotes.bits();
        if escaping {
            quotes &= !self.escapes(backslashes.bits());
        }
        // Every bit from an opening quote up to its closing quote, by a running exclusive or.
        let strings = running_xor(quotes) ^ self.in_string;
        self.in_string = 0u64.wrapping_sub(strings >> 63);
        // This bit is all that tells `[` from `{` and `]` from `}`.
        let folded = bytes.or(0x20);
        let closes = folded.equal(b'}');
        let brackets = folded.equal(b'{').union(closes).bits() & !strings;
        if brackets == 0 {
            return None;
        }
        let closes = closes.bits() & brackets;
        let opens = brackets ^ closes;
        let ended = u64::from(closes.count_ones());
        if ended >= self.depth
            && let Some(end) = end_within(self.depth, opens, closes)
        {
            return Some(end);
        }
        self.depth = self.depth + u64::from(opens.count_ones()) - ended;
        None
    }

    /// The bytes that a backslash escapes. A run of backslashes escapes the byte behind it if its length is odd.
    #[inline]
    fn escapes(&mut self, backslashes: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        if backslashes == 0 {
            return std::mem::take(&mut self.escaped);
        }
        let backslashes = backslashes & !self.escaped;
        let behind = backslashes << 1 | self.escaped;
        // Adding a run's first bit to the run carries to the bit behind it, which tells where runs end.
        let odd_starts = backslashes & !EVEN & !behind;
        let (ends, carry) = odd_starts.overflowing_add(backslashes);
        self.escaped = u64::from(carry);
        (EVEN ^ (ends << 1)) & behind
    }
}

/// The place behind the bracket with which the depth reaches zero, if it does within this block.
#[cold]
fn end_within(depth: u64, opens: u64, mut closes: u64) -> Option<usize> {
    let mut count = 0;
    while closes != 0 {
        let place = closes.trailing_zeros();
        count += 1;
        let before = u64::from((opens & ((1 << place) - 1)).count_ones());
        if depth + before == count {
            return Some(place as usize + 1);
        }
        closes &= closes - 1;
    }
    None
}

#[inline]
fn running_xor(mut bits: u64) -> u64 {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^ (bits << 32)
}

/// The bytes of a block, or what a comparison made of them.
#[derive(Clone, Copy)]
struct Lanes([u8x32; 2]);

impl Lanes {
    #[inline]
    fn of(block: &[u8; BLOCK]) -> Self {
        let lanes = block.as_chunks::<{ BLOCK / 2 }>().0;
        Self(std::array::from_fn(|index| u8x32::new(lanes[index])))
    }

    #[inline]
    fn equal(self, byte: u8) -> Self {
        Self(self.0.map(|lane| lane.simd_eq(u8x32::splat(byte))))
    }

    #[inline]
    fn or(self, bits: u8) -> Self {
        Self(self.0.map(|lane| lane | u8x32::splat(bits)))
    }

    #[inline]
    fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|index| self.0[index] | other.0[index]))
    }

    #[inline]
    fn any(self) -> bool {
        let [a, b] = self.0;
        (a | b).any()
    }

    /// One bit per byte, the first byte's lowest.
    #[inline]
    fn bits(self) -> u64 {
        let [low, high] = self.0.map(|lane| u64::from(lane.to_bitmask()));
        low | high << 32
    }
}
