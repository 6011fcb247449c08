//! What a program hands back in the annotation `lagoon.sh/taskData`: base64 of a JSON object, as Lagoon's images write
//! it (contract terrakube-lagoon, section 3.4).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_domain::context::{Document, DocumentError};
use sluice_domain::gate::Outcome;

/// What a program handed back.
#[derive(Debug)]
pub(crate) struct TaskData {
    /// All of it.
    pub(crate) document: Document,
    /// What it wants to be said, in a sentence.
    pub(crate) message: Option<String>,
    /// In detail.
    pub(crate) outcomes: Vec<Outcome>,
    /// What it wants to be said and cannot be read, in a sentence.
    pub(crate) unread: Option<String>,
}

/// Members that mean something to us, beside being kept.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    outcomes: Option<&'a RawValue>,
}

/// What was handed back cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskDataError {
    /// It is not base64.
    #[error("it is not base64")]
    NotBase64,
    /// It is no JSON object.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// Standard base64, with or without its padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Reads an annotation. Some `base64` programs break lines, and some libraries use the alphabet of URLs.
pub(crate) fn read(annotation: &str) -> Result<TaskData, TaskDataError> {
    let plain = |c: char| match c {
        '-' => '+',
        '_' => '/',
        c => c,
    };
    let text: String = annotation.chars().filter(|c| !c.is_whitespace()).map(plain).collect();
    let bytes = LENIENT.decode(text).map_err(|_| TaskDataError::NotBase64)?;
    let document = Document::parse(&bytes)?;
    let mut unread = Vec::new();
    let said: Said<'_> = serde_json::from_str(document.as_str()).unwrap_or_default();
    let message = part("message", said.message, &mut unread);
    let found: Vec<&RawValue> = part("outcomes", said.outcomes, &mut unread).unwrap_or_default();
    let outcomes = found.into_iter().filter_map(|outcome| part("outcomes", Some(outcome), &mut unread)).collect();
    let unread =
        (!unread.is_empty()).then(|| format!("Not all of lagoon.sh/taskData can be shown: {}", unread.join("; ")));
    Ok(TaskData { document, message, outcomes, unread })
}

/// A member, if it can be read. What cannot is noted without what it holds.
fn part<'a, T: Deserialize<'a>>(name: &str, value: Option<&'a RawValue>, unread: &mut Vec<String>) -> Option<T> {
    let read = serde_json::from_str(value?.get());
    read.map_err(|error: serde_json::Error| {
        unread.push(format!("{name} is not as it has to be, at line {}, column {}", error.line(), error.column()));
    })
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(annotation: &str, expect: &str) {
        let told = match read(annotation) {
            Ok(data) => {
                format!("{} says {:?}{}", data.document.as_str(), data.message, data.unread.unwrap_or_default())
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(told, expect);
    }

    #[test]
    fn task_data_is_read_however_its_base64_is_written() {
        check("eyJtZXNzYWdlIjoib2s/In0=", r#"{"message":"ok?"} says Some("ok?")"#);
        check("eyJtZXNzYWdlIjoib2s/In0", r#"{"message":"ok?"} says Some("ok?")"#);
        check("eyJtZXNz\nYWdlIjoib2s_In0=\n", r#"{"message":"ok?"} says Some("ok?")"#);
        let unread = "Not all of lagoon.sh/taskData can be shown: message is not as it has to be, at line 1, column 1";
        check("eyJtZXNzYWdlIjo3fQ==", &format!(r#"{{"message":7}} says None{unread}"#));
        check("e30=", "{} says None");
        check("not base64!", "it is not base64");
    }
}
