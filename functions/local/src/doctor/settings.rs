//! What the environment says that is a risk, as far as it is at hand here.

use secrecy::{ExposeSecret, SecretString};

use super::report::{Line, Section};

/// Shortest secret that is not worth guessing at, in bytes.
const SECRET_BYTES_LEAST: usize = 16;

/// The secrets at hand.
#[derive(Default)]
pub(super) struct Secrets {
    pub notification_tokens: Vec<SecretString>,
    pub digest_keys: Vec<SecretString>,
    pub gate_keys: Vec<SecretString>,
    pub unsigned_allowed: bool,
    /// Whether the table is one in an account, for which a digest key is needed.
    pub account: bool,
}

impl Secrets {
    fn named(&self) -> impl Iterator<Item = (&'static str, &SecretString)> {
        let tokens = self.notification_tokens.iter().map(|it| ("NOTIFICATION_TOKEN", it));
        let digests = self.digest_keys.iter().map(|it| ("SLUICE_DIGEST_KEY", it));
        tokens.chain(digests).chain(self.gate_keys.iter().map(|it| ("SLUICE_GATE_KEY", it)))
    }
}

/// Looks at the settings. `faults` are those that could not be read at all.
pub(super) fn look(secrets: &Secrets, faults: Vec<Line>) -> Section {
    let mut lines = faults;
    if secrets.unsigned_allowed {
        lines.push(Line::warning(
            "SLUICE_ALLOW_UNSIGNED is true: whoever reaches the endpoint can make Sluice believe in runs that never were",
            "unset SLUICE_ALLOW_UNSIGNED, and give the notification configurations a token",
        ));
    }
    if secrets.notification_tokens.is_empty() {
        lines.push(
            Line::aside("NOTIFICATION_TOKEN is not set here: whether the endpoint takes it is not looked at").unseen(),
        );
    }
    let digest = "the digests of outputs are made with it: another one makes every workspace stale once";
    if secrets.account && secrets.digest_keys.is_empty() {
        lines.push(Line::aside(format!("SLUICE_DIGEST_KEY is not set here, and is not looked at; {digest}")));
    }
    for (name, secret) in secrets.named() {
        if secret.expose_secret().len() < SECRET_BYTES_LEAST {
            lines.push(Line::warning(
                format!("{name} has less than {SECRET_BYTES_LEAST} characters, and may be guessed at"),
                better(name),
            ));
        }
    }
    for pair in [
        ("NOTIFICATION_TOKEN", "SLUICE_DIGEST_KEY"),
        ("NOTIFICATION_TOKEN", "SLUICE_GATE_KEY"),
        ("SLUICE_DIGEST_KEY", "SLUICE_GATE_KEY"),
    ] {
        let of = |name: &'static str| secrets.named().filter(move |(other, _)| *other == name).map(|(_, it)| it);
        if of(pair.0).any(|one| of(pair.1).any(|other| one.expose_secret() == other.expose_secret())) {
            let what = format!("{} and {} are the same: who learns one has both", pair.0, pair.1);
            lines.push(Line::warning(what, format!("give {} a secret of its own: openssl rand -hex 32", pair.1)));
        }
    }
    if lines.is_empty() {
        lines.push(Line::well("nothing in the environment is a risk"));
    }
    Section::new("Settings", lines)
}

fn better(name: &str) -> String {
    let rotation = if name == "SLUICE_DIGEST_KEY" {
        "with a new one every workspace that reads another looks stale once, so pause while it is changed"
    } else {
        "put it before this one in the same variable, separated by a comma, until nobody uses this one"
    };
    format!("openssl rand -hex 32 makes a better {name}; {rotation}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::{Level, Report};

    #[test]
    fn risks_are_told_and_secrets_are_not() {
        let long = "0123456789abcdef-long-enough";
        let secrets = Secrets {
            notification_tokens: vec![long.into(), "short-hush".into()],
            digest_keys: vec![long.into()],
            gate_keys: vec!["another-secret-of-its-own".into()],
            unsigned_allowed: true,
            account: true,
        };
        let section = look(&secrets, Vec::new());
        let levels: Vec<_> = section.lines.iter().map(|line| line.level).collect();
        assert_eq!(levels, [Level::Warning; 3]);
        let report = Report(vec![section]);
        for text in [report.text(true), report.json()] {
            assert!(!text.contains("hush") && !text.contains("0123"), "{text}");
        }
        let well = Secrets { notification_tokens: vec![long.into()], ..Secrets::default() };
        assert_eq!(look(&well, Vec::new()).lines, [Line::well("nothing in the environment is a risk")]);
    }
}
