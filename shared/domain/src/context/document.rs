//! A JSON object as text, exactly as it was sent.

use std::fmt;

use serde_json::value::RawValue;

use super::merge::{Depth, combine};

/// Longest document, in bytes: what passes through API Gateway and Lambda in either direction, encoded.
pub const CONTEXT_BYTES_MAX: usize = 4 << 20;

/// How deep objects and arrays may lie in each other. Common readers stop at 128, and a document is part of larger ones:
/// of what policies see, for one.
pub const DEPTH_MAX: usize = 100;

/// A JSON object as text. It is looked at once, and from then on only ever cut along its members: numbers, spaces and the
/// order of members stay as they were sent. It does not print: it holds whatever a check left for another.
#[derive(Clone, PartialEq, Eq)]
pub struct Document(String);

/// Text that is no document. Says where, and never what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is not JSON in UTF-8, or has half of a surrogate pair in it, which stands for no character.
    #[error("it is not JSON: see line {line}, column {column}")]
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The byte in that line, from 1.
        column: usize,
    },
    /// It is JSON of another kind.
    #[error("it is JSON, but not an object")]
    NotAnObject,
    /// A number in it is out of the range of a double, as most readers take numbers for.
    #[error("it has a number that is too large to be read: see line {line}, column {column}")]
    NumberTooLarge {
        /// The line, from 1.
        line: usize,
        /// The byte in that line where the number begins, from 1.
        column: usize,
    },
    /// Its objects and arrays lie too deep in each other.
    #[error("its objects and arrays are more than {DEPTH_MAX} deep")]
    TooDeep,
    /// It is too long, or would become so.
    #[error("it is longer than {CONTEXT_BYTES_MAX} bytes")]
    TooLarge,
}

impl Document {
    /// The document of a run to which nobody has written.
    #[must_use]
    pub fn empty() -> Self {
        Self("{}".to_owned())
    }

    /// Reads what was sent.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > CONTEXT_BYTES_MAX {
            return Err(DocumentError::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|error| not_json(&bytes[..error.valid_up_to()]))?;
        // This skips values without going down into them, so no depth is too much for it.
        let whole: &RawValue = serde_json::from_str(text)
            .map_err(|error| DocumentError::NotJson { line: error.line(), column: error.column() })?;
        check_values(text, 0)?;
        if !whole.get().starts_with('{') {
            return Err(DocumentError::NotAnObject);
        }
        Ok(Self(text.to_owned()))
    }

    /// A document as it was kept: the text of one, which is not looked at again.
    #[must_use]
    pub fn kept(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text itself.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }

    /// The document after `patch`, as RFC 7396 has it: members that are null go, objects are merged, anything else takes
    /// the place of what was there. Members keep their order; what the patch does not speak of keeps its text.
    pub fn merge(&self, patch: &Self) -> Result<Self, DocumentError> {
        self.combined(patch, Depth::All)
    }

    /// The document with each member of `members` in the place of the one of that name, whatever either of them is.
    pub fn put(&self, members: &Self) -> Result<Self, DocumentError> {
        self.combined(members, Depth::Top)
    }

    /// The document with `value` as it is, nulls and all, under `name` of its member `member`, which becomes an object if
    /// it is none. What else is there keeps its text.
    pub fn put_in(&self, member: &str, name: &str, value: &Self) -> Result<Self, DocumentError> {
        check_values(&value.0, 2)?;
        self.combined(&Self::of(member, &Self::of(name, value)), Depth::Second)
    }

    /// A document of one member.
    fn of(name: &str, value: &Self) -> Self {
        Self(format!("{{{}:{}}}", serde_json::Value::from(name), value.0.trim()))
    }

    fn combined(&self, with: &Self, depth: Depth) -> Result<Self, DocumentError> {
        let mut text = String::with_capacity(self.0.len() + with.0.len());
        combine(Some(&self.0), &with.0, depth, &mut text)?;
        if text.len() > CONTEXT_BYTES_MAX { Err(DocumentError::TooLarge) } else { Ok(Self(text)) }
    }
}

impl Default for Document {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} bytes)", self.0.len())
    }
}

/// The line and column of what comes after `before`.
fn place(before: &[u8]) -> (usize, usize) {
    let lines = before.split(|byte| *byte == b'\n');
    let column = lines.clone().next_back().unwrap_or_default().len() + 1;
    (lines.count(), column)
}

/// What comes after `before` is no JSON.
fn not_json(before: &[u8]) -> DocumentError {
    let (line, column) = place(before);
    DocumentError::NotJson { line, column }
}

/// Looks at what a reader that skips values leaves out, in text that is JSON otherwise and lies `depth` deep in another.
fn check_values(json: &str, mut depth: usize) -> Result<(), DocumentError> {
    let text = json.as_bytes();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = check_string(text, at + 1)?;
                continue;
            }
            b'-' | b'0'..=b'9' => {
                at = check_number(json, at)?;
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(DocumentError::TooDeep);
                }
            }
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// Goes to the end of a string that begins at `from`: every surrogate in it is half of a pair.
fn check_string(text: &[u8], from: usize) -> Result<usize, DocumentError> {
    let mut at = from;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return Ok(at + 1),
            b'\\' => match surrogate(&text[at..]) {
                None => at += 2,
                Some(0xD8..=0xDB) if matches!(surrogate(&text[at + 6..]), Some(0xDC..=0xDF)) => at += 12,
                Some(_) => return Err(not_json(&text[..at])),
            },
            _ => at += 1,
        }
    }
    Ok(at)
}

/// Goes to the end of a number that begins at `from`. It may be longer than a double can tell apart, but not larger.
fn check_number(json: &str, from: usize) -> Result<usize, DocumentError> {
    let rest = &json[from..];
    let end = rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(rest.len());
    let number = &rest[..end];
    let short = number.len() <= f64::MAX_10_EXP as usize && !number.contains(['e', 'E']);
    // The second reader is that of policies, and may differ in the last place.
    if short
        || number.parse().is_ok_and(f64::is_finite) && serde_json::from_str::<f64>(number).is_ok_and(f64::is_finite)
    {
        return Ok(from + end);
    }
    let (line, column) = place(&json.as_bytes()[..from]);
    Err(DocumentError::NumberTooLarge { line, column })
}

/// The first byte of the surrogate that `text` begins with, if it begins with one.
fn surrogate(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"\\u")?.get(..2)?;
    let byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (0xD8..=0xDF).contains(&byte).then_some(byte)
}

#[cfg(test)]
mod tests;
