//! What a notification configuration has to tell of, in words that old and new instances know.

use std::collections::BTreeSet;

/// What Sluice has to hear of: the word that every instance before 2026 knows, and those that have come in its place.
/// Any one thing is heard by the first, or by all of the others.
const NEEDED: [(&str, &[&str]); 5] = [
    ("run:completed", &[]),
    ("run:planning", &[]),
    ("run:applying", &[]),
    ("run:errored", &["run:run_errored", "run:run_canceled", "run:policy_soft_failed"]),
    (
        "run:needs_attention",
        &["run:pending_apply_approval", "run:policy_override_required", "run:cost_estimated", "run:policies_checked"],
    ),
];

/// In which words an instance is told what to tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TriggerWords {
    /// Those that all instances know, and newer ones call deprecated.
    #[default]
    Stable,
    /// Those that came in 2026 in the place of the deprecated ones.
    Granular,
}

impl TriggerWords {
    /// All that Sluice has to hear of.
    #[must_use]
    pub fn all(self) -> BTreeSet<String> {
        self.added_to(&BTreeSet::new())
    }

    /// What `told` is, and what is missing of it.
    #[must_use]
    pub fn added_to(self, told: &BTreeSet<String>) -> BTreeSet<String> {
        let mut all = told.clone();
        for needed in &NEEDED {
            let (stable, granular) = *needed;
            if self == Self::Granular && !granular.is_empty() {
                // An instance that refuses the deprecated words refuses them also where they were told before.
                all.remove(stable);
                all.extend(granular.iter().map(|&word| word.to_owned()));
            } else if !heard(told, needed) {
                all.insert(stable.to_owned());
            }
        }
        all
    }

    /// What Sluice does not hear of where `told` is what is told.
    pub fn missing(told: &BTreeSet<String>) -> impl Iterator<Item = &'static str> {
        NEEDED.iter().filter(|needed| !heard(told, needed)).map(|(stable, _)| *stable)
    }
}

fn heard(told: &BTreeSet<String>, (stable, granular): &(&str, &[&str])) -> bool {
    told.contains(*stable) || (!granular.is_empty() && granular.iter().all(|word| told.contains(*word)))
}
