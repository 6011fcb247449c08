//! Cuts what is too long or too deep before it reaches the parser, which would hold it in memory.

use std::io::{self, Read};

/// Most bytes of a string that are passed on. No name that matters is longer.
const STRING_BYTES_MAX: usize = 16 << 10;

/// Most levels of nesting.
const DEPTH_MAX: usize = 2_000;

/// JSON with the ends of long strings left out.
pub(super) struct Trimmed<R> {
    inner: R,
    depth: usize,
    place: Place,
    /// Bytes of the present string so far.
    length: usize,
    /// The rest of the present string is left out.
    cutting: bool,
    /// The last letter was half of a pair of escapes.
    half: bool,
}

/// Nesting that no plan has.
#[derive(Debug, thiserror::Error)]
#[error("nested more than {DEPTH_MAX} levels deep")]
pub(super) struct TooDeep;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Inside,
    /// Behind a backslash.
    Escape,
    /// So many digits of an escape are to come, after these.
    Digits(u8, u32),
}

impl<R: Read> Trimmed<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, depth: 0, place: Place::Outside, length: 0, cutting: false, half: false }
    }

    /// Whether the byte is passed on.
    fn passes(&mut self, byte: u8) -> io::Result<bool> {
        let before = self.place;
        self.place = match (before, byte) {
            (Place::Outside, b'"') => {
                (self.length, self.cutting) = (0, false);
                Place::Inside
            }
            (Place::Outside, _) => {
                self.nest(byte)?;
                Place::Outside
            }
            (Place::Inside, b'"') => {
                self.place = Place::Outside;
                return Ok(true);
            }
            (Place::Inside, b'\\') => Place::Escape,
            (Place::Escape, b'u') => Place::Digits(4, 0),
            (Place::Digits(left, before), digit) => {
                let code = before << 4 | char::from(digit).to_digit(16).unwrap_or(0);
                self.half = left == 1 && (0xd800..0xdc00).contains(&code);
                if left == 1 { Place::Inside } else { Place::Digits(left - 1, code) }
            }
            _ => Place::Inside,
        };
        if before == Place::Outside {
            return Ok(true);
        }
        // Nothing is cut in two: not an escape, nor a pair of them, nor a letter of several bytes.
        let begins = before == Place::Inside && !self.half && byte & 0xc0 != 0x80;
        if before == Place::Inside {
            self.half &= byte == b'\\';
        }
        self.cutting |= begins && self.length >= STRING_BYTES_MAX;
        self.length += 1;
        Ok(!self.cutting)
    }

    fn nest(&mut self, byte: u8) -> io::Result<()> {
        match byte {
            b'{' | b'[' if self.depth >= DEPTH_MAX => return Err(io::Error::other(TooDeep)),
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        Ok(())
    }
}

impl<R: Read> Read for Trimmed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let size = self.inner.read(buffer)?;
            if size == 0 {
                return Ok(0);
            }
            let mut kept = 0;
            for at in 0..size {
                if self.passes(buffer[at])? {
                    buffer[kept] = buffer[at];
                    kept += 1;
                }
            }
            if kept > 0 {
                return Ok(kept);
            }
        }
    }
}
