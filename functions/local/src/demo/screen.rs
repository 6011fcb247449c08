//! What the demo prints.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use sluice_domain::{Decision, Verdict};
use sluice_tests::hcp::RunStatus;

/// Colours, as ANSI codes.
#[derive(Debug, Clone, Copy)]
enum Colour {
    Bold,
    Faint,
    Green,
    Yellow,
    Blue,
    Red,
}

impl Colour {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Faint => "2",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Blue => "34",
            Self::Red => "31",
        }
    }
}

/// The terminal, or whatever standard output is.
#[derive(Debug)]
pub struct Screen {
    colours: bool,
    start: Instant,
}

/// Width of the column of workspace names.
const NAME_WIDTH: usize = 14;

impl Screen {
    /// Standard output; in colour if that is a terminal and `no_color` is not asked for.
    #[must_use]
    pub fn new(no_color: bool) -> Self {
        Self { colours: std::io::stdout().is_terminal() && !no_color, start: Instant::now() }
    }

    /// Time starts here.
    pub fn restart(&mut self) {
        self.start = Instant::now();
    }

    /// How long that is ago.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// A heading.
    pub fn heading(&self, text: &str) {
        print(&format!("\n{}", self.paint(Colour::Bold, text)));
    }

    /// A line of its own.
    #[expect(clippy::unused_self, reason = "a line belongs on the screen like the others")]
    pub fn line(&self, text: &str) {
        print(text);
    }

    /// A less important line.
    pub fn aside(&self, text: &str) {
        print(&self.paint(Colour::Faint, text));
    }

    /// A run came to a status.
    pub fn run(&self, workspace: &str, run: &str, status: RunStatus) {
        let colour = match status {
            RunStatus::Applied | RunStatus::PlannedAndFinished => Colour::Green,
            RunStatus::Errored | RunStatus::Canceled | RunStatus::ForceCanceled | RunStatus::Discarded => Colour::Red,
            _ => Colour::Blue,
        };
        let words = status.as_str().replace('_', " ");
        self.event(workspace, &format!("{} {}", self.paint(colour, &words), self.paint(Colour::Faint, run)));
    }

    /// A decision was made.
    pub fn decision(&self, workspace: &str, decision: &Decision) {
        let colour = match decision.verdict {
            Verdict::Run | Verdict::Adopt { .. } => Colour::Bold,
            Verdict::Wait { .. } | Verdict::AwaitOwnRun { .. } => Colour::Yellow,
            Verdict::Blocked { .. } | Verdict::Refused { .. } => Colour::Red,
            _ => Colour::Faint,
        };
        self.event(workspace, &self.paint(colour, &decision.to_string()));
    }

    fn event(&self, workspace: &str, text: &str) {
        let seconds = self.start.elapsed().as_secs_f32();
        print(&format!("{seconds:6.1} s  {workspace:NAME_WIDTH$}{text}"));
    }

    /// One row of the closing table.
    pub fn row(&self, right: bool, workspace: &str, runs: &str, why: &str) {
        let mark = if right { self.paint(Colour::Green, "✓") } else { self.paint(Colour::Red, "✗") };
        print(&format!("  {mark} {workspace:NAME_WIDTH$}{runs:8}{}", self.paint(Colour::Faint, why)));
    }

    /// The last word.
    pub fn verdict(&self, right: bool, text: &str) {
        let colour = if right { Colour::Green } else { Colour::Red };
        print(&format!("\n{}", self.paint(colour, text)));
    }

    fn paint(&self, colour: Colour, text: &str) -> String {
        if self.colours { format!("\x1b[{}m{text}\x1b[0m", colour.code()) } else { text.to_owned() }
    }
}

fn print(text: &str) {
    // A reader that went away, as `head` does, is no reason to fail.
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}
