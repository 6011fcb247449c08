//! The one spelling of a JSON value that digests are made of.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;

use super::cursor::Cursor;
use super::error::Result;

/// Reads one value and appends it to `out`: no white space, keys sorted by their bytes and the last of repeated ones,
/// the fewest escapes, numbers as they are written.
pub(super) fn write(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<()> {
    match cursor.peek() {
        b'{' => object(cursor, out)?,
        b'[' => array(cursor, out)?,
        b'"' => string(&cursor.string()?, out),
        _ => out.extend_from_slice(cursor.word()?.as_bytes()),
    }
    Ok(())
}

fn array(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<()> {
    out.push(b'[');
    let start = out.len();
    cursor.array(|cursor| {
        if out.len() > start {
            out.push(b',');
        }
        write(cursor, out)
    })?;
    out.push(b']');
    Ok(())
}

/// Writes the values in file order first, then again in the order of their keys: no tree is needed.
fn object<'a>(cursor: &mut Cursor<'a>, out: &mut Vec<u8>) -> Result<()> {
    let mut members: BTreeMap<Cow<'a, str>, Range<usize>> = BTreeMap::new();
    let start = out.len();
    cursor.object(|key, cursor| {
        let from = out.len() - start;
        write(cursor, out)?;
        members.insert(key, from..out.len() - start);
        Ok(())
    })?;
    let values = out.split_off(start);
    out.push(b'{');
    for (index, (key, range)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(&key, out);
        out.push(b':');
        out.extend_from_slice(&values[range]);
    }
    out.push(b'}');
    Ok(())
}

/// Appends a string with the fewest escapes.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0..0x20 => write!(out, "\\u{byte:04x}").expect("a vector takes every write"),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
