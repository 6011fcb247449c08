//! The push scanner: exact grammar where it looks, fast steps where it does not.

use super::Scan;
use super::error::{Result, ScanError, ScanErrorKind};
use super::plan::{Frame, Plan, Raw, Slot};
use super::reader::Reader;
use super::skip::Skip;
use crate::digest::Digester;

/// Held memory above this is given back when it is no longer needed.
const HELD_KEEP: usize = 256 << 10;

/// Reads a state file from chunks of any size.
///
/// Memory is that of the largest value that must be held across chunks, never that of the file.
pub struct Scanner {
    reader: Reader,
    step: Step,
    frames: Vec<Frame>,
    /// For the value that comes next, once its key is known.
    plan: Plan,
    /// The value being stepped over.
    skip: Skip,
    /// What that value is, if it is kept.
    keep: Option<Slot>,
    /// The part of a kept value that came in earlier chunks.
    held: Vec<u8>,
    /// Where that value began.
    began: u64,
    too_large: bool,
    /// Bytes in earlier chunks.
    offset: u64,
    failed: Option<ScanError>,
}

/// What the grammar asks for next.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Start,
    /// A key or the end of the object.
    FirstKey,
    Key,
    Colon,
    Value,
    /// An element or the end of the array.
    FirstElement,
    Element,
    /// More of a value or key.
    Within,
    /// A comma or the end of the container.
    Next,
    /// Nothing.
    End,
}

impl Scanner {
    /// A scanner of whole state files.
    #[must_use]
    pub fn new(digester: Digester) -> Self {
        Self::with(Reader::new(digester, false))
    }

    /// A scanner that does not look into resources: it finds no references.
    #[must_use]
    pub fn outputs_only(digester: Digester) -> Self {
        Self::with(Reader::new(digester, true))
    }

    fn with(reader: Reader) -> Self {
        Self {
            reader,
            step: Step::Start,
            frames: Vec::new(),
            plan: Plan::Skip,
            skip: Skip::Word,
            keep: None,
            held: Vec::new(),
            began: 0,
            too_large: false,
            offset: 0,
            failed: None,
        }
    }

    /// Whether the root outputs are known, so that the rest of the file can tell nothing more about them.
    ///
    /// Terraform writes them before the resources. Always false for version 3, which keeps them elsewhere.
    #[must_use]
    pub fn outputs_done(&self) -> bool {
        self.reader.outputs_done() && self.failed.is_none()
    }

    /// Takes the next part of the file. An error is final.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), ScanError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut at = 0;
        while at < chunk.len() {
            match self.advance(chunk, at) {
                Ok(next) => at = next,
                Err(error) => {
                    self.failed = Some(error);
                    self.held = Vec::new();
                    return Err(error);
                }
            }
        }
        self.offset += chunk.len() as u64;
        Ok(())
    }

    /// What was found, if the file was whole.
    pub fn finish(self) -> Result<Scan, ScanError> {
        self.ended()?;
        self.reader.finish(self.offset, true)
    }

    /// Whether the file may end here.
    pub(super) fn ended(&self) -> Result<()> {
        match (self.failed, self.step) {
            (Some(error), _) => Err(error),
            (None, Step::End) => Ok(()),
            (None, Step::Start) => Err(ScanErrorKind::Empty.at(self.offset)),
            (None, _) => Err(ScanErrorKind::Truncated.at(self.offset)),
        }
    }

    /// What was found by the time [`Self::outputs_done`] became true, whatever would have followed.
    pub fn finish_outputs(self) -> Result<Scan, ScanError> {
        if self.step != Step::End && self.outputs_done() {
            return self.reader.finish(self.offset, false);
        }
        self.finish()
    }

    /// Takes a step from `chunk[at]`; where the next one begins.
    fn advance(&mut self, chunk: &[u8], at: usize) -> Result<usize> {
        if self.step == Step::Within {
            return self.within(chunk, at);
        }
        let space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        let Some(at) = chunk[at..].iter().position(|byte| !space(byte)).map(|spaces| at + spaces) else {
            return Ok(chunk.len());
        };
        let offset = self.offset + at as u64;
        match (self.step, chunk[at]) {
            (Step::FirstKey | Step::Key, b'"') => return self.begin(chunk, at, Skip::text(), Some(Slot::Key)),
            (Step::Colon, b':') => self.step = Step::Value,
            (Step::Value, _) => return self.value(chunk, at),
            (Step::Next, b',') => self.step = if self.frame().is_object() { Step::Key } else { Step::Element },
            (Step::FirstKey, b'}') | (Step::FirstElement, b']') => self.close(offset)?,
            (Step::Next, b'}') if self.frame().is_object() => self.close(offset)?,
            (Step::Next, b']') if !self.frame().is_object() => self.close(offset)?,
            (Step::FirstElement | Step::Element, _) => {
                self.plan = self.reader.element(self.frame());
                return self.value(chunk, at);
            }
            (Step::Start, b'{') => self.open(Frame::Root),
            (step, _) => return Err(step.refusal().at(offset)),
        }
        Ok(at + 1)
    }

    fn frame(&self) -> Frame {
        *self.frames.last().expect("grammar is only checked within the root")
    }

    fn open(&mut self, frame: Frame) {
        self.reader.open(frame);
        self.frames.push(frame);
        self.step = if frame.is_object() { Step::FirstKey } else { Step::FirstElement };
    }

    fn close(&mut self, offset: u64) -> Result<()> {
        let frame = self.frame();
        self.frames.pop();
        self.step = if self.frames.is_empty() { Step::End } else { Step::Next };
        self.reader.close(frame, offset)
    }

    /// A value begins at `chunk[at]`.
    fn value(&mut self, chunk: &[u8], at: usize) -> Result<usize> {
        let first = chunk[at];
        let offset = self.offset + at as u64;
        let Some(skip) = Skip::starting(first) else {
            return Err(ScanErrorKind::Syntax { expected: "a value" }.at(offset));
        };
        let slot = match self.plan {
            Plan::Enter(frame) if first == if frame.is_object() { b'{' } else { b'[' } => {
                self.open(frame);
                return Ok(at + 1);
            }
            Plan::Enter(frame) if first == b'n' && frame.may_be_null() => Some(Slot::Null(frame)),
            Plan::Enter(frame) => return Err(frame.wrong_type().at(offset)),
            Plan::Keep(slot) => Some(slot),
            Plan::Skip => (!matches!(first, b'"' | b'{' | b'[')).then_some(Slot::Word),
        };
        self.begin(chunk, at, skip, slot)
    }

    /// A value or key begins at `chunk[at]` that is kept if there is a slot for it, and else skipped.
    fn begin(&mut self, chunk: &[u8], at: usize, mut skip: Skip, slot: Option<Slot>) -> Result<usize> {
        let rest = &chunk[at..];
        self.began = self.offset + at as u64;
        let Some(len) = skip.advance(rest) else {
            self.skip = skip;
            self.keep = slot;
            self.step = Step::Within;
            self.hold(rest)?;
            return Ok(chunk.len());
        };
        self.step = Step::Next;
        // Most values are whole within a chunk, and need not be copied.
        match slot {
            Some(slot) if len > slot.limit() => self.reader.too_large(slot, self.began)?,
            Some(slot) => self.kept(slot, &rest[..len])?,
            None => {}
        }
        Ok(at + len)
    }

    /// More of a value or key that began in an earlier chunk, from `chunk[at]`.
    fn within(&mut self, chunk: &[u8], at: usize) -> Result<usize> {
        let rest = &chunk[at..];
        let Some(len) = self.skip.advance(rest) else {
            self.hold(rest)?;
            return Ok(chunk.len());
        };
        self.step = Step::Next;
        self.hold(&rest[..len])?;
        self.kept_held()?;
        Ok(at + len)
    }

    fn hold(&mut self, part: &[u8]) -> Result<()> {
        let Some(slot) = self.keep.filter(|_| !self.too_large) else { return Ok(()) };
        if self.held.len() + part.len() > slot.limit() {
            self.too_large = true;
            self.held = Vec::new();
            return self.reader.too_large(slot, self.began);
        }
        self.held.extend_from_slice(part);
        Ok(())
    }

    fn kept_held(&mut self) -> Result<()> {
        let mut held = std::mem::take(&mut self.held);
        let too_large = std::mem::take(&mut self.too_large);
        if let Some(slot) = self.keep.filter(|_| !too_large) {
            self.kept(slot, &held)?;
        }
        held.clear();
        if held.capacity() <= HELD_KEEP {
            self.held = held;
        }
        Ok(())
    }

    /// A kept value or key is whole.
    fn kept(&mut self, slot: Slot, bytes: &[u8]) -> Result<()> {
        let raw = Raw { bytes, offset: self.began };
        if !matches!(bytes.first(), Some(b'"' | b'{' | b'[')) {
            let mut cursor = raw.cursor();
            cursor.word()?;
            cursor.end()?;
        }
        match slot {
            Slot::Key => {
                self.plan = self.reader.key(self.frame(), raw)?;
                self.step = Step::Colon;
            }
            Slot::Word => {}
            Slot::Null(frame) => {
                if !raw.is_null() {
                    return Err(frame.wrong_type().at(self.began));
                }
                self.reader.open(frame);
                self.reader.close(frame, self.began)?;
            }
            slot => self.reader.value(slot, raw)?,
        }
        Ok(())
    }
}

impl Step {
    /// What is wrong if something else comes.
    fn refusal(self) -> ScanErrorKind {
        let expected = match self {
            Self::Start => return ScanErrorKind::NotAnObject,
            Self::End => return ScanErrorKind::Trailing,
            Self::FirstKey => "a key or `}`",
            Self::Key => "a key",
            Self::Colon => "`:`",
            Self::Value | Self::Element | Self::Within => "a value",
            Self::FirstElement => "a value or `]`",
            Self::Next => "`,` or the end of the container",
        };
        ScanErrorKind::Syntax { expected }
    }
}
