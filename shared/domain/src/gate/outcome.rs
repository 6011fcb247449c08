//! What HCP Terraform is told, within the limits it has (contract hcp-terraform, section 2.3).

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest message, in characters.
const MESSAGE_CHARS_MAX: usize = 1000;
/// Longest URL, in bytes.
const URL_BYTES_MAX: usize = 500;
/// Most outcomes of a task result.
const OUTCOMES_MAX: usize = 250;
/// Longest id of an outcome, in characters.
const ID_CHARS_MAX: usize = 64;
/// Longest description, in characters.
const DESCRIPTION_CHARS_MAX: usize = 1000;
/// Longest body, in characters. The documentation speaks of a megabyte, the published schema of this.
const BODY_CHARS_MAX: usize = 10_000;
/// Most headings of an outcome's tags.
const HEADINGS_MAX: usize = 10;
/// Most labels under one heading.
const LABELS_MAX: usize = 32;
/// Longest label, in characters.
const LABEL_CHARS_MAX: usize = 32;
/// Most bytes of all outcomes of a report: whatever stands between may let no more through.
const REPORT_BYTES_MAX: usize = 1_000_000;
/// Most bytes of all outcomes of one check, as they have to fit into an item of the table.
const STORED_BYTES_MAX: usize = 240_000;

/// How a task result stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportStatus {
    /// It goes on.
    Running,
    /// For good: the run may go on.
    Passed,
    /// For good: the run may not go on, if the task is mandatory.
    Failed,
}

impl ReportStatus {
    /// As HCP Terraform writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Passed => "passed",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for ReportStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What HCP Terraform is told about a task result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How it stands.
    pub status: ReportStatus,
    /// In a sentence.
    pub message: String,
    /// Where more is to be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// In detail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// The same, cut to what HCP Terraform takes: it refuses a report for one label too long.
    #[must_use]
    pub fn cut(mut self) -> Self {
        self.message = cut_text(&self.message, MESSAGE_CHARS_MAX);
        if self.message.is_empty() {
            self.message = self.status.to_string();
        }
        self.url = self.url.filter(|url| is_short_url(url));
        self.outcomes = cut_outcomes(self.outcomes, REPORT_BYTES_MAX);
        number(&mut self.outcomes);
        self
    }
}

/// One thing that a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Outcome {
    /// Its id, unique in the task result: one of the same id replaces it.
    pub id: String,
    /// In a sentence.
    pub description: String,
    /// Labels under headings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// In detail, as Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Where more is to be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A label under a heading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The heading. HCP Terraform shows `Status` and `Severity` in a place of their own.
    pub heading: String,
    /// The label.
    pub label: String,
    /// In which colour.
    pub level: Level,
}

impl Tag {
    /// A label under a heading.
    #[must_use]
    pub fn new(heading: &str, label: &str, level: Level) -> Self {
        Self { heading: heading.to_owned(), label: label.to_owned(), level }
    }
}

/// How bad a label is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Neither good nor bad.
    #[default]
    None,
    /// Worth knowing.
    Info,
    /// Worth a look.
    Warning,
    /// Wrong.
    Error,
}

impl Level {
    /// As HCP Terraform writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// `outcomes` of one check, cut to what HCP Terraform takes and the table holds.
#[must_use]
pub(crate) fn cut_for_table(outcomes: Vec<Outcome>) -> Vec<Outcome> {
    cut_outcomes(outcomes, STORED_BYTES_MAX)
}

fn cut_outcomes(outcomes: Vec<Outcome>, bytes_max: usize) -> Vec<Outcome> {
    let count = outcomes.len();
    let mut bytes = 0;
    let mut kept: Vec<Outcome> = Vec::new();
    for outcome in outcomes {
        let outcome = cut_outcome(outcome);
        bytes += size(&outcome);
        // One place is left for saying that there were more.
        let last = kept.len() + 1 == OUTCOMES_MAX && count > OUTCOMES_MAX;
        if last || bytes > bytes_max {
            kept.push(Outcome {
                id: "left-out".to_owned(),
                description: format!(
                    "{} more outcomes are left out: there are too many to be shown",
                    count - kept.len()
                ),
                tags: vec![Tag::new("Status", "Left out", Level::Warning)],
                ..Outcome::default()
            });
            break;
        }
        kept.push(outcome);
    }
    kept
}

/// Numbers ids that come more than once, as they may once they are cut: one outcome would take the other's place.
fn number(outcomes: &mut [Outcome]) {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (n, outcome) in outcomes.iter_mut().enumerate() {
        if outcome.id.is_empty() || !seen.insert(outcome.id.clone()) {
            let number = format!("-{}", n + 1);
            let room = ID_CHARS_MAX - number.len();
            outcome.id = outcome.id.chars().take(room).chain(number.chars()).collect();
            seen.insert(outcome.id.clone());
        }
    }
}

fn cut_outcome(outcome: Outcome) -> Outcome {
    let mut tags: Vec<Tag> = Vec::new();
    for tag in outcome.tags {
        let (heading, label) = (cut_text(&tag.heading, LABEL_CHARS_MAX), cut_text(&tag.label, LABEL_CHARS_MAX));
        let under = tags.iter().filter(|other| other.heading == heading).count();
        let mut headings: Vec<&str> = tags.iter().map(|tag| tag.heading.as_str()).collect();
        headings.sort_unstable();
        headings.dedup();
        let room = if under == 0 { headings.len() < HEADINGS_MAX } else { under < LABELS_MAX };
        if room && !heading.is_empty() && !label.is_empty() {
            tags.push(Tag { heading, label, level: tag.level });
        }
    }
    let id = cut_text(&outcome.id, ID_CHARS_MAX);
    let description = cut_text(&outcome.description, DESCRIPTION_CHARS_MAX);
    Outcome {
        description: if description.is_empty() { id.clone() } else { description },
        id,
        tags,
        body: outcome.body.map(|body| cut_body(&body)).filter(|body| !body.is_empty()),
        url: outcome.url.filter(|url| is_short_url(url)),
    }
}

/// A message, cut to what HCP Terraform takes and the table holds.
pub(crate) fn cut_message(message: &str) -> String {
    cut_text(message, MESSAGE_CHARS_MAX)
}

/// The first `most` characters of `text`, of which the last tells that there were more.
pub(crate) fn cut_text(text: &str, most: usize) -> String {
    let text = text.trim();
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

/// A body ends with a whole line, and says where it was cut. A code block that is open there is closed.
fn cut_body(body: &str) -> String {
    const NOTE: &str = "\n\n*… cut here: the rest is too long to be shown.*";
    const FENCE: &str = "\n```";
    let Some(_) = body.char_indices().nth(BODY_CHARS_MAX) else { return body.to_owned() };
    let room = BODY_CHARS_MAX - NOTE.chars().count() - FENCE.len();
    let end = body.char_indices().nth(room).map_or(body.len(), |(at, _)| at);
    let kept = &body[..end];
    let kept = kept.rfind('\n').map_or(kept, |line| &kept[..line]);
    let open = kept.lines().filter(|line| line.trim_start().starts_with("```")).count() % 2 == 1;
    format!("{kept}{}{NOTE}", if open { FENCE } else { "" })
}

fn is_short_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let plain = |byte: u8| {
        byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
    };
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && url.len() <= URL_BYTES_MAX
        && url.bytes().all(plain)
}

fn size(outcome: &Outcome) -> usize {
    // Escapes may make a text longer than it is: a line end is two bytes.
    let escaped = |text: &String| {
        text.len() + text.bytes().filter(|byte| *byte < b' ' || matches!(byte, b'"' | b'\\')).count() * 5
    };
    let tags: usize = outcome.tags.iter().map(|tag| escaped(&tag.heading) + escaped(&tag.label) + 48).sum();
    let texts = [Some(&outcome.id), Some(&outcome.description), outcome.body.as_ref(), outcome.url.as_ref()];
    texts.into_iter().flatten().map(escaped).sum::<usize>() + tags + 80
}
