//! The id by which everything that follows from one change is found again: in logs and in the messages of runs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::of_texts;
use crate::names::{Host, RunId, StateVersionId};

/// The id of a wave, from the run that began it. It tells nothing else, and everybody who knows the run can make it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Trace(String);

const DIGITS: usize = 16;
const PREFIX: &str = "trace ";

impl Trace {
    /// That of the wave which `run` begins, if it begins one.
    #[must_use]
    pub fn of_run(host: &Host, run: &RunId) -> Self {
        Self::of(host, run.as_str())
    }

    /// That of the wave which a state begins that was pushed without a run.
    #[must_use]
    pub fn of_state(host: &Host, version: &StateVersionId) -> Self {
        Self::of(host, version.as_str())
    }

    fn of(host: &Host, id: &str) -> Self {
        let mut digits = of_texts([host.as_str(), id]).to_string();
        digits.truncate(DIGITS);
        Self(digits)
    }

    /// The trace that stands before the marker in a run's message, if Sluice wrote it: a person's words are no trace.
    #[must_use]
    pub fn in_message(message: &str) -> Option<Self> {
        crate::work::Marker::in_message(message)?;
        let (before, _) = last_bracket(message)?;
        Self::in_bracket(last_bracket(before)?.1)
    }

    /// The trace that a bracket holds.
    fn in_bracket(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?;
        let hex = digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        (digits.len() == DIGITS && hex).then(|| Self(digits.to_owned()))
    }

    /// As it stands in a message, in brackets.
    pub(crate) fn bracket(&self) -> String {
        format!("[{PREFIX}{self}]")
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is before the bracket that a message ends with, and what is in it.
pub(crate) fn last_bracket(message: &str) -> Option<(&str, &str)> {
    message.trim_end().strip_suffix(']')?.rsplit_once('[')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_sixteen_digits_that_differ_between_runs_and_instances() {
        let trace = |host: &str, run: &str| Trace::of_run(&host.parse().unwrap(), &run.parse().unwrap()).to_string();
        let one = trace("app.terraform.io", "run-1");
        assert!(one.len() == 16 && one.bytes().all(|digit| digit.is_ascii_hexdigit()), "{one}");
        assert_eq!(one, trace("app.terraform.io", "run-1"));
        assert_ne!(one, trace("app.terraform.io", "run-2"));
        assert_ne!(one, trace("tfe.example.com", "run-1"));
    }

    #[test]
    fn only_what_sluice_wrote_is_a_trace() {
        let found = |message: &str| Trace::in_message(message).map(|trace| trace.to_string());
        let marker = "[sluice-0011223344556677]";
        let ours = format!("Outputs changed in acme/network [trace 0123456789abcdef] {marker}");
        assert_eq!(found(&ours).as_deref(), Some("0123456789abcdef"));
        assert_eq!(found(&format!("{ours}\n")).as_deref(), Some("0123456789abcdef"));
        for message in [
            "",
            "[trace 0123456789abcdef]",
            "bump vpc [trace 0123456789abcdef]",
            &format!("[trace 0123456789abcdeg] {marker}"),
            &format!("[trace 0123456789ABCDEF] {marker}"),
            &format!("[trace 0123456789abcdef0] {marker}"),
            &format!("{ours} and more"),
            &format!("{marker} [trace 0123456789abcdef]"),
        ] {
            assert_eq!(found(message), None, "{message}");
        }
    }
}
