//! What doctor has to say, and how it is printed.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// Most names that a line prints; JSON has all of them.
const NAMES_MAX: usize = 8;

/// How good or bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It does not apply, or could not be looked at for a reason that is no fault.
    Aside,
    /// As it has to be.
    Well,
    /// It works, and could be better.
    Warning,
    /// It does not work.
    Wrong,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Aside => "aside",
            Self::Well => "well",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        }
    }

    fn mark(self, colours: bool) -> &'static str {
        match (self, colours) {
            (Self::Aside, _) => "–",
            (Self::Well, false) => "✓",
            (Self::Well, true) => "\x1b[32m✓\x1b[0m",
            (Self::Warning, false) => "!",
            (Self::Warning, true) => "\x1b[33m!\x1b[0m",
            (Self::Wrong, false) => "✗",
            (Self::Wrong, true) => "\x1b[31m✗\x1b[0m",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How it is.
    pub level: Level,
    /// What it is, in words.
    pub what: String,
    /// The workspaces, say, that it is about.
    pub names: Vec<String>,
    /// The command or the setting that mends it.
    pub mend: Option<String>,
    /// It was looked at, and not only why it was not.
    pub seen: bool,
}

impl Line {
    /// As it has to be.
    #[must_use]
    pub fn well(what: impl Into<String>) -> Self {
        Self { level: Level::Well, what: what.into(), names: Vec::new(), mend: None, seen: true }
    }

    /// Not looked at, which is no fault.
    #[must_use]
    pub fn aside(what: impl Into<String>) -> Self {
        Self { level: Level::Aside, ..Self::well(what) }
    }

    /// It works, and `mend` would make it better.
    #[must_use]
    pub fn warning(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Warning, mend: Some(mend.into()), ..Self::well(what) }
    }

    /// It does not work, and `mend` mends it.
    #[must_use]
    pub fn wrong(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Wrong, mend: Some(mend.into()), ..Self::well(what) }
    }

    /// The same, about these.
    #[must_use]
    pub fn about(mut self, names: Vec<String>) -> Self {
        self.names = names;
        self
    }

    /// The same, as something that ought to be looked at and was not.
    #[must_use]
    pub fn unseen(mut self) -> Self {
        self.seen = false;
        self
    }

    fn text(&self, colours: bool) -> String {
        let mut text = format!("  {} {}", self.level.mark(colours), self.what);
        if !self.names.is_empty() {
            let shown: Vec<&str> = self.names.iter().take(NAMES_MAX).map(String::as_str).collect();
            let _ = write!(text, ": {}", shown.join(", "));
            if self.names.len() > NAMES_MAX {
                let _ = write!(text, " and {} more", self.names.len() - NAMES_MAX);
            }
        }
        text.push('\n');
        if let Some(mend) = &self.mend {
            let _ = writeln!(text, "      {mend}");
        }
        text
    }

    fn json(&self) -> Value {
        let mut json = json!({ "level": self.level.word(), "what": self.what });
        if !self.names.is_empty() {
            json["names"] = json!(self.names);
        }
        if let Some(mend) = &self.mend {
            json["mend"] = json!(mend);
        }
        if !self.seen {
            json["unseen"] = json!(true);
        }
        json
    }
}

/// Lines about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The thing.
    pub title: String,
    /// What there is to say.
    pub lines: Vec<Line>,
}

impl Section {
    /// A section.
    #[must_use]
    pub fn new(title: impl Into<String>, lines: Vec<Line>) -> Self {
        Self { title: title.into(), lines }
    }
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report(pub Vec<Section>);

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.count(Level::Wrong) == 0
    }

    fn unseen(&self) -> usize {
        self.0.iter().flat_map(|section| &section.lines).filter(|line| !line.seen).count()
    }

    fn count(&self, level: Level) -> usize {
        self.0.iter().flat_map(|section| &section.lines).filter(|line| line.level == level).count()
    }

    /// For people.
    #[must_use]
    pub fn text(&self, colours: bool) -> String {
        let mut text = String::new();
        for section in self.0.iter().filter(|section| !section.lines.is_empty()) {
            let _ = writeln!(text, "{}", section.title);
            section.lines.iter().for_each(|line| text.push_str(&line.text(colours)));
            text.push('\n');
        }
        let things = |count: usize| if count == 1 { "1 thing".to_owned() } else { format!("{count} things") };
        let well = if self.unseen() == 0 { "All is well" } else { "Nothing is wrong with what could be looked at" };
        let _ = match (self.count(Level::Wrong), self.count(Level::Warning)) {
            (0, 0) => writeln!(text, "{well}."),
            (0, warnings) => writeln!(text, "{well}; {} could be better.", things(warnings)),
            (1, 0) => writeln!(text, "1 thing is wrong."),
            (wrong, 0) => writeln!(text, "{wrong} things are wrong."),
            (wrong, warnings) => {
                let are = if wrong == 1 { "is" } else { "are" };
                writeln!(text, "{} {are} wrong, and {} could be better.", things(wrong), things(warnings))
            }
        };
        text
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> String {
        let sections: Vec<Value> = self
            .0
            .iter()
            .map(|section| {
                let lines: Vec<Value> = section.lines.iter().map(Line::json).collect();
                json!({ "title": section.title, "lines": lines })
            })
            .collect();
        let report = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "well": self.is_well(),
            "wrong": self.count(Level::Wrong),
            "warnings": self.count(Level::Warning),
            "unseen": self.unseen(),
            "sections": sections,
        });
        format!("{report:#}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_only_well_where_all_was_looked_at() {
        let ends = |lines: Vec<Line>| {
            let report = Report(vec![Section::new("It", lines)]);
            assert!(report.is_well());
            report.text(false).lines().last().unwrap_or_default().to_owned()
        };
        let warning = || Line::warning("slow", "wait");
        assert_eq!(ends(vec![Line::well("up"), Line::aside("local")]), "All is well.");
        assert_eq!(ends(vec![warning()]), "All is well; 1 thing could be better.");
        let unseen = Line::aside("not looked at").unseen();
        assert_eq!(ends(vec![unseen.clone()]), "Nothing is wrong with what could be looked at.");
        let both = "Nothing is wrong with what could be looked at; 1 thing could be better.";
        assert_eq!(ends(vec![unseen, warning()]), both);
    }
}
