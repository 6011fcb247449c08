//! One JSON object a line: what a log line says, with the ids of the invocation and of the work that it is about.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterFn, Targets};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::ours_at;
use crate::clock::now;
use crate::metrics::{self, Format};

/// Fields of an event or of a span, by name. Those that end in `.id` are spelled without it, so that there is one
/// spelling to ask for whoever wrote the line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members(BTreeMap<&'static str, Value>);

impl Members {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&&'static str, &Value)> {
        self.0.iter()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        let name = field.name();
        self.0.insert(name.strip_suffix(".id").unwrap_or(name), value.into());
    }
}

impl Visit for Members {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

/// Writes lines: logs, metrics, or both.
pub(crate) struct Lines<W> {
    logs: Option<Level>,
    metrics: Option<Format>,
    write: W,
}

/// To standard output, which is where Lambda reads.
pub(crate) fn to_stdout(line: &str) {
    // Nobody can be told that nobody reads.
    let _ = io::stdout().lock().write_all(line.as_bytes());
}

impl<W: Fn(&str)> Lines<W> {
    /// Logs from `logs` on, if any are wanted, and metrics, if those are.
    pub(crate) fn new(logs: Option<Level>, metrics: Option<Format>, write: W) -> Self {
        Self { logs, metrics, write }
    }

    /// What this writes or needs for it. Spans carry the ids, so they count even where little is logged.
    pub(crate) fn wanted(&self) -> FilterFn<impl Fn(&Metadata<'_>) -> bool + use<W>> {
        let logs: Option<Targets> = self.logs.map(ours_at);
        let measured = self.metrics.is_some();
        let most = self.logs.map_or(LevelFilter::INFO, |level| level.max(Level::INFO).into());
        let wanted = move |it: &Metadata<'_>| {
            let around = it.is_span() && *it.level() <= Level::INFO;
            let counts = measured && it.target() == metrics::TARGET;
            around || counts || logs.as_ref().is_some_and(|logs| logs.would_enable(it.target(), it.level()))
        };
        FilterFn::new(wanted).with_max_level_hint(most)
    }

    fn put(&self, mut line: String) {
        line.push('\n');
        (self.write)(&line);
    }
}

#[derive(Serialize)]
struct LogLine<'a> {
    level: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Value>,
    #[serde(flatten)]
    members: BTreeMap<&'static str, Value>,
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&str) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut members = Members::default();
        attributes.record(&mut members);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(members);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(members) = span.extensions_mut().get_mut::<Members>()
        {
            values.record(members);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut said = Members::default();
        event.record(&mut said);
        // The innermost says most exactly what a line is about.
        let mut around = Members::default();
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(members) = span.extensions().get::<Members>() {
                around.0.extend(members.0.clone());
            }
        }
        if event.metadata().target() == metrics::TARGET {
            let line = self.metrics.as_ref().and_then(|format| format.line(&said, &around, now()));
            if let Some(line) = line {
                self.put(line);
            }
            return;
        }
        if self.logs.is_none() {
            return;
        }
        let message = said.0.remove("message");
        let mut members = around.0;
        members.extend(said.0);
        let line = LogLine { level: event.metadata().level().as_str(), message, members };
        if let Ok(line) = serde_json::to_string(&line) {
            self.put(line);
        }
    }
}

#[cfg(test)]
mod tests;
