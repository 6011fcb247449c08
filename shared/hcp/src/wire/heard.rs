//! What a notification means.

use sluice_domain::{Host, InvalidName, Marker, RunReport, Standing, Timestamp, Workspace};

use super::notification::{News, Notification};
use super::status::{standing_of_status, standing_of_trigger};
use super::timestamp::{InvalidTimestamp, parse_timestamp};

/// What was heard, in the domain's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The configuration is being verified: answer, and do nothing.
    Verification,
    /// News of a run.
    Run(RunReport),
    /// Nothing that Sluice acts on.
    Ignored {
        /// What was said to have happened, shortened.
        trigger: String,
        /// Why it is ignored.
        why: &'static str,
    },
}

/// A body that is signed and yet not what HCP Terraform sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not JSON, or a member of another kind than documented.
    #[error("the body is not the JSON of a notification, at line {line}, column {column}")]
    NotJson {
        /// Where, counting from 1.
        line: usize,
        /// Where, counting from 1.
        column: usize,
    },
    /// JSON, but not an object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// News of a run without what tells which.
    #[error("{0} is missing from news of a run")]
    Missing(&'static str),
    /// An id or name that HCP Terraform would not give out.
    #[error("{field} is not valid")]
    Name {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: InvalidName,
    },
    /// A timestamp that is none.
    #[error("{field} is not valid")]
    Time {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: InvalidTimestamp,
    },
}

/// Most characters of a trigger that are kept of what is ignored.
const TRIGGER_CHARS_MAX: usize = 64;

impl Notification {
    /// What this notification means. The host is the instance that Sluice is configured for: a body does not name it.
    ///
    /// Several pieces of news are of one run, so they become one report: that of the furthest standing.
    pub fn events(&self, host: &Host) -> Result<Vec<Heard>, Malformed> {
        if self.payload_version.as_deref().is_some_and(|version| version != "1") {
            return Ok(vec![ignored(self.trigger.as_deref(), "not a payload of version 1")]);
        }
        if self.notifications.is_empty() {
            return Ok(vec![ignored(self.trigger.as_deref(), "no news of a run")]);
        }
        let mut heard = Vec::new();
        let mut furthest: Option<RunReport> = None;
        for news in &self.notifications {
            match news.subject() {
                Subject::Verification => heard.push(Heard::Verification),
                Subject::Unknown(why) => heard.push(ignored(news.trigger.as_deref(), why)),
                Subject::Run(standing) => {
                    let report = self.report(news, standing, host)?;
                    let further = |known: &RunReport| position(&report) > position(known);
                    if furthest.as_ref().is_none_or(further) {
                        furthest = Some(report);
                    }
                }
            }
        }
        heard.extend(furthest.map(Heard::Run));
        Ok(heard)
    }

    fn report(&self, news: &News, standing: Standing, host: &Host) -> Result<RunReport, Malformed> {
        let run = parsed("run_id", self.run_id.as_deref())?;
        let workspace_id = parsed("workspace_id", self.workspace_id.as_deref())?;
        let organization = parsed("organization_name", self.organization_name.as_deref())?;
        let name = required("workspace_name", self.workspace_name.as_deref())?;
        let workspace = Workspace::new(host.clone(), organization, name)
            .map_err(|source| Malformed::Name { field: "workspace_name", source })?;
        let created_at = instant("run_created_at", required("run_created_at", self.run_created_at.as_deref())?)?;
        let at = news.run_updated_at.as_deref().map_or(Ok(created_at), |text| instant("run_updated_at", text))?;
        let marker = self.run_message.as_deref().and_then(Marker::in_message);
        Ok(RunReport { workspace, workspace_id, run, created_at, standing, at, marker })
    }
}

/// What a piece of news is about.
enum Subject {
    Verification,
    Run(Standing),
    Unknown(&'static str),
}

impl News {
    fn subject(&self) -> Subject {
        let trigger = self.trigger.as_deref().unwrap_or_default();
        if trigger == "verification" {
            return Subject::Verification;
        }
        let Some(trigger) = trigger.strip_prefix("run:") else {
            return Subject::Unknown("not a trigger of runs");
        };
        // Since 2026 either `trigger` itself is precise, or it stays coarse and `trigger_type` is precise.
        let precise = self.trigger_type.as_deref().map(|precise| precise.strip_prefix("run:").unwrap_or(precise));
        let by_trigger = precise.and_then(standing_of_trigger).or_else(|| standing_of_trigger(trigger));
        match (self.run_status.as_deref().and_then(standing_of_status), by_trigger) {
            (Some(Standing::Planning), Some(Standing::AwaitingPerson)) => Subject::Run(Standing::AwaitingPerson),
            (Some(standing), _) | (None, Some(standing)) => Subject::Run(standing),
            (None, None) => Subject::Unknown("neither its status nor its trigger tells where the run stands"),
        }
    }
}

fn position(report: &RunReport) -> (u8, Timestamp) {
    (report.standing.rank(), report.at)
}

fn ignored(trigger: Option<&str>, why: &'static str) -> Heard {
    let trigger = trigger.unwrap_or("none").chars().take(TRIGGER_CHARS_MAX).collect();
    Heard::Ignored { trigger, why }
}

fn required<'a>(field: &'static str, value: Option<&'a str>) -> Result<&'a str, Malformed> {
    value.ok_or(Malformed::Missing(field))
}

fn parsed<T: std::str::FromStr<Err = InvalidName>>(field: &'static str, value: Option<&str>) -> Result<T, Malformed> {
    required(field, value)?.parse().map_err(|source| Malformed::Name { field, source })
}

fn instant(field: &'static str, text: &str) -> Result<Timestamp, Malformed> {
    parse_timestamp(text).map_err(|source| Malformed::Time { field, source })
}
