//! Logs: one JSON object a line on standard output, which is where Lambda reads them.

use std::collections::BTreeMap;

use tracing::Level;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::env::Setting;

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

/// Sends logs to standard output as JSON. Lambda stamps each line with the time, so they carry none of their own.
/// Does nothing if logs go somewhere already.
pub fn init_tracing(vars: &BTreeMap<String, String>) {
    let level = LogLevel::from_vars(vars).0;
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(true)
        .with_span_list(false)
        .without_time()
        .with_filter(ours_at(level));
    // The only error is that there is a subscriber already.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

/// Our own lines from `level` on, and those of libraries from info on: what they trace may be a whole event or a
/// request's headers, tokens and all.
#[must_use]
pub fn ours_at(level: Level) -> Targets {
    Targets::new().with_default(level.min(Level::INFO)).with_target("sluice", level)
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
