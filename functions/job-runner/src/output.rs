//! What a program wrote, as it is shown: without colours, without secrets, and no longer than it may be.

use std::sync::LazyLock;

use regex::Regex;
use secrecy::{ExposeSecret, SecretString};
use sluice_domain::ports::Output;

/// What a secret is replaced with.
const MASK: &str = "***";

/// Shortest secret that is looked for, in bytes: what is shorter is found in innocent words.
const SECRET_BYTES_MIN: usize = 8;

/// Most characters of a message that what was written may take.
const LINES_CHARS_MAX: usize = 400;

/// Most characters of what was written that are shown as a whole: HCP Terraform takes ten thousand of an outcome's body.
const BODY_CHARS_MAX: usize = 9_000;

/// Tokens that are known by their form, whoever's they are: those of HCP Terraform, AWS, GitHub, GitLab and Slack, web
/// tokens, and private keys.
static KNOWN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"sluice-context~[A-Za-z0-9._~-]+",
        r"|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{40,}",
        r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
        r"|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{40,}",
        r"|\bglpat-[A-Za-z0-9_-]{20,}",
        r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
        r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*",
        r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
    ))
    .expect("it is a regular expression")
});

/// What a program wrote, fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    text: String,
    cut: bool,
}

impl Shown {
    /// `output` without colours and without `secrets`.
    pub(crate) fn new<'a>(output: &Output, secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        // A progress bar is as it was left.
        let lines = output.text.lines().map(|line| line.rsplit('\r').find(|part| !part.is_empty()).unwrap_or_default());
        let plain = strip_ansi_escapes::strip_str(lines.collect::<Vec<_>>().join("\n"));
        let text: String = plain.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
        Self { text: masked(&text, secrets).trim().to_owned(), cut: output.cut }
    }

    /// All of it on one line.
    pub(crate) fn on_one_line(&self) -> String {
        self.text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// The last of it, as part of a sentence; None if nothing was written.
    pub(crate) fn last_lines(&self) -> Option<String> {
        let mut kept: Vec<&str> = Vec::new();
        let mut chars = 0;
        for line in self.text.lines().rev().map(str::trim).filter(|line| !line.is_empty()) {
            chars += line.chars().count() + 3;
            if !kept.is_empty() && chars > LINES_CHARS_MAX {
                break;
            }
            kept.push(line);
            if kept.len() == 3 {
                break;
            }
        }
        kept.reverse();
        let said = kept.join(" / ");
        (!said.is_empty()).then(|| end_of(&said, LINES_CHARS_MAX).0.into_owned())
    }

    /// All of it that has room, as Markdown; None if nothing was written.
    pub(crate) fn body(&self) -> Option<String> {
        if self.text.is_empty() {
            return None;
        }
        // What looks like the end of the block would end it.
        let lines = self
            .text
            .lines()
            .map(|line| if line.trim_start().starts_with("```") { format!("    {line}") } else { line.to_owned() });
        let text = lines.collect::<Vec<_>>().join("\n");
        let (end, cut) = end_of(&text, BODY_CHARS_MAX);
        let note = if cut || self.cut { "*The beginning is left out.*\n\n" } else { "" };
        Some(format!("{note}```\n{end}\n```"))
    }
}

/// The last `most` characters of `text`, and whether there was more.
fn end_of(text: &str, most: usize) -> (std::borrow::Cow<'_, str>, bool) {
    match text.char_indices().rev().nth(most) {
        None => (text.into(), false),
        Some((at, c)) => (format!("…{}", &text[at + c.len_utf8()..]).into(), true),
    }
}

/// `text` without `secrets`, and without what has the form of one.
pub(crate) fn masked<'a>(text: &str, secrets: impl IntoIterator<Item = &'a SecretString>) -> String {
    let mut text = text.to_owned();
    for secret in secrets.into_iter().map(ExposeSecret::expose_secret).filter(|it| it.len() >= SECRET_BYTES_MIN) {
        text = text.replace(secret, MASK);
    }
    KNOWN.replace_all(&text, MASK).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Shown {
        Shown::new(&Output { text: text.to_owned(), cut: false }, &[SecretString::from("s3cr3t-t0ken")])
    }

    #[test]
    fn colours_and_progress_bars_leave_only_what_they_say() {
        let text = shown("\x1b[31mError:\x1b[0m no\r\n 10%\r 90%\r100%\n\x1b]0;title\x07done\u{8}\n\n");
        assert_eq!(text.text, "Error: no\n100%\ndone");
        assert_eq!(text.last_lines().as_deref(), Some("Error: no / 100% / done"));
        assert_eq!(text.body().as_deref(), Some("```\nError: no\n100%\ndone\n```"));
        assert_eq!((shown(" \n").last_lines(), shown("\x1b[0m").body()), (None, None));
    }

    #[test]
    fn secrets_do_not_show() {
        for (written, expected) in [
            ("token s3cr3t-t0ken!", "token ***!"),
            ("s3cr\x1b[1m3t-t0ken", "***"),
            ("a1B2c3D4e5F6g7.atlasv1.abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123", "***"),
            ("key AKIAIOSFODNN7EXAMPLE.", "key ***."),
            ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "***"),
            ("a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb", "a\n***\nb"),
            ("-----BEGIN PRIVATE KEY-----\nMIIE cut", "***"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", "***"),
            ("an innocent line", "an innocent line"),
        ] {
            assert_eq!(shown(written).text, expected);
        }
    }

    #[test]
    fn the_end_is_what_is_kept() {
        let long = (0..2_000).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
        let body = shown(&long).body().unwrap();
        assert!(body.starts_with("*The beginning is left out.*\n\n```\n…") && body.ends_with("line 1999\n```"));
        assert!(body.chars().count() < 10_000);
        let one = shown(&"é".repeat(5_000)).last_lines().unwrap();
        assert_eq!(one.chars().count(), LINES_CHARS_MAX + 1);
        assert!(shown("a\n```\nb").body().unwrap().contains("\n    ```\nb\n```"));
    }
}
