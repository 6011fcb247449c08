//! Logs: one JSON object a line on standard output, which is where Lambda reads them.

use std::collections::BTreeMap;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::env::Setting;
use crate::metrics::{self, Format};
use crate::work;

mod lines;

pub(crate) use lines::Members;
use lines::{Lines, to_stdout};

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLevel(pub Level);

impl LogLevel {
    /// The variable that sets it.
    pub const VARIABLE: &str = "SLUICE_LOG";

    /// `SLUICE_LOG`, or else what the function's logging configuration says, or else `info`.
    #[must_use]
    pub fn from_vars(vars: &BTreeMap<String, String>) -> Self {
        let named = |name: &str| Self::parse(vars.get(name)?.trim());
        named(Self::VARIABLE).or_else(|| named("AWS_LAMBDA_LOG_LEVEL")).unwrap_or(Self(Level::INFO))
    }
}

impl Setting for LogLevel {
    const EXPECTED: &str = "error, warn, info, debug or trace";

    fn parse(value: &str) -> Option<Self> {
        Some(Self(match value.to_ascii_lowercase().as_str() {
            // Lambda knows a level above error.
            "error" | "fatal" => Level::ERROR,
            "warn" => Level::WARN,
            "info" => Level::INFO,
            "debug" => Level::DEBUG,
            "trace" => Level::TRACE,
            _ => return None,
        }))
    }
}

/// Sends logs to standard output as JSON, and metrics too where those are printed. Lambda stamps each line with the time,
/// so they carry none of their own. Does nothing if logs go somewhere already.
pub fn init_tracing(vars: &BTreeMap<String, String>) {
    let lines = Lines::new(Some(LogLevel::from_vars(vars).0), Format::from_vars(vars), to_stdout);
    let wanted = lines.wanted();
    // The only error is that there is a subscriber already.
    let _ = tracing_subscriber::registry().with(lines.with_filter(wanted)).try_init();
}

/// Metrics on standard output and nothing else, for whoever has logs of another kind.
#[must_use]
pub fn only_metrics<S>(vars: &BTreeMap<String, String>) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = Lines::new(None, Some(Format::of_table(vars)), to_stdout);
    let wanted = lines.wanted();
    lines.with_filter(wanted)
}

/// Our own lines from `level` on, and those of libraries from info on: what they trace may be a whole event or a
/// request's headers, tokens and all. Neither metrics nor what ids are kept in is for people.
#[must_use]
pub fn ours_at(level: Level) -> Targets {
    Targets::new()
        .with_default(level.min(Level::INFO))
        .with_target("sluice", level)
        .with_target(metrics::TARGET, LevelFilter::OFF)
        .with_target(work::TARGET, LevelFilter::OFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_level_is_ours_then_lambdas_then_info() {
        for (ours, lambdas, expect) in [
            ("", "", Level::INFO),
            ("", "DEBUG", Level::DEBUG),
            ("warn", "DEBUG", Level::WARN),
            ("", "FATAL", Level::ERROR),
            ("loud", "", Level::INFO),
        ] {
            let vars = [("SLUICE_LOG", ours), ("AWS_LAMBDA_LOG_LEVEL", lambdas)];
            let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            assert_eq!(LogLevel::from_vars(&vars), LogLevel(expect), "{ours} {lambdas}");
        }
    }
}
