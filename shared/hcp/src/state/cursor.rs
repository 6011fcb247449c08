//! Reads JSON that is held whole, checking all of its grammar.
//!
//! Unlike a deserializer it keeps numbers as they are written, takes the last of repeated keys, and builds no tree.

use std::borrow::Cow;

use super::error::{Result, ScanErrorKind};

/// Deepest nesting of a value that is looked into. Terraform's own types do not come near it.
pub(super) const DEPTH_MAX: usize = 256;

/// A place in a held value. A copy is a bookmark.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    /// The file offset of the first of `bytes`.
    base: u64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], base: u64) -> Self {
        Self { bytes, at: 0, depth: 0, base }
    }

    pub(super) fn fail<T>(&self, kind: ScanErrorKind) -> Result<T> {
        Err(kind.at(self.base + self.at as u64))
    }

    fn expected<T>(&self, expected: &'static str) -> Result<T> {
        self.fail(ScanErrorKind::Syntax { expected })
    }

    /// The first byte of what comes next, white space apart; zero at the end.
    pub(super) fn peek(&mut self) -> u8 {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.here()
    }

    fn here(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == byte;
        self.at += usize::from(taken);
        taken
    }

    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fail(ScanErrorKind::TooDeep { limit: DEPTH_MAX });
        }
        Ok(())
    }

    /// Reads an object. `member` is given each key and must read its value.
    pub(super) fn object(&mut self, mut member: impl FnMut(Cow<'a, str>, &mut Self) -> Result<()>) -> Result<()> {
        if !self.take(b'{') {
            return self.expected("an object");
        }
        self.enter()?;
        if !self.take(b'}') {
            loop {
                let key = self.string()?;
                if !self.take(b':') {
                    return self.expected("`:`");
                }
                member(key, self)?;
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return self.expected("`,` or `}`");
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads an array. `element` must read one value each time.
    pub(super) fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        if !self.take(b'[') {
            return self.expected("an array");
        }
        self.enter()?;
        if !self.take(b']') {
            loop {
                element(self)?;
                if self.take(b']') {
                    break;
                }
                if !self.take(b',') {
                    return self.expected("`,` or `]`");
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads any value, checking it.
    pub(super) fn skip(&mut self) -> Result<()> {
        match self.peek() {
            b'{' => self.object(|_, cursor| cursor.skip()),
            b'[' => self.array(Self::skip),
            b'"' => self.string().map(drop),
            _ => self.word().map(drop),
        }
    }

    /// Checks that nothing is left.
    pub(super) fn end(&mut self) -> Result<()> {
        self.peek();
        if self.at == self.bytes.len() { Ok(()) } else { self.expected("the end of the value") }
    }

    /// Reads a number, `true`, `false` or `null`, as it is written.
    pub(super) fn word(&mut self) -> Result<&'a str> {
        self.peek();
        let start = self.at;
        for literal in ["null", "true", "false"] {
            if self.bytes[start..].starts_with(literal.as_bytes()) {
                self.at += literal.len();
                return Ok(literal);
            }
        }
        self.number()?;
        Ok(std::str::from_utf8(&self.bytes[start..self.at]).expect("a number is ASCII"))
    }

    fn number(&mut self) -> Result<()> {
        self.at += usize::from(self.here() == b'-');
        if self.here() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.here() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.here(), b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.here(), b'+' | b'-'));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<()> {
        let count = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { self.expected("a value") } else { Ok(()) }
    }

    /// Reads a string and resolves its escapes.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>> {
        if !self.take(b'"') {
            return self.expected("a string");
        }
        let plain = self.plain()?;
        if self.take_here(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_owned();
        while !self.take_here(b'"') {
            text.push(self.escape()?);
            text.push_str(self.plain()?);
        }
        Ok(Cow::Owned(text))
    }

    fn take_here(&mut self, byte: u8) -> bool {
        let taken = self.here() == byte;
        self.at += usize::from(taken);
        taken
    }

    /// The part of a string up to the next escape or its end.
    fn plain(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let Some(len) = rest.iter().position(|&byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) else {
            self.at = self.bytes.len();
            return self.expected("the end of a string");
        };
        let plain = match std::str::from_utf8(&rest[..len]) {
            Ok(plain) => plain,
            Err(error) => {
                self.at += error.valid_up_to();
                return self.fail(ScanErrorKind::NotUnicode);
            }
        };
        self.at += len;
        if self.here() < 0x20 { self.expected("no control character within a string") } else { Ok(plain) }
    }

    fn escape(&mut self) -> Result<char> {
        self.at += 1;
        let letter = self.here();
        self.at += 1;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.escaped_char(),
            _ => return self.expected("an escape"),
        })
    }

    fn escaped_char(&mut self) -> Result<char> {
        let first = self.hex()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.bytes[self.at..].starts_with(b"\\u") {
            self.at += 2;
            let second = self.hex()?;
            if !(0xdc00..0xe000).contains(&second) {
                return self.fail(ScanErrorKind::NotUnicode);
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).map_or_else(|| self.fail(ScanErrorKind::NotUnicode), Ok)
    }

    fn hex(&mut self) -> Result<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = char::from(self.here()).to_digit(16) else {
                return self.expected("four hexadecimal digits");
            };
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }

    /// This place, with nothing to read behind `other`.
    pub(super) fn until(self, other: &Self) -> Self {
        Self { bytes: &self.bytes[..other.at], ..self }
    }

    /// Reads a string, or a number or boolean as the string Terraform converts it to. `None` for null and for
    /// anything else, which is read over.
    pub(super) fn text(&mut self) -> Result<Option<String>> {
        match self.peek() {
            b'"' => self.string().map(|text| Some(text.into_owned())),
            b'{' | b'[' => self.skip().map(|()| None),
            _ => self.word().map(|word| (word != "null").then(|| word.to_owned())),
        }
    }

    /// A bookmark at the next value, which is read over; `None` if it is null.
    pub(super) fn bookmark(&mut self) -> Result<Option<Self>> {
        let null = self.peek() == b'n';
        let here = *self;
        self.skip()?;
        Ok((!null).then_some(here))
    }
}
