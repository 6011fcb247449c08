//! What Sluice may do by itself, and how much of it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use crate::names::Workspace;

/// What is allowed, for the whole installation.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// What Sluice may do in which workspace.
    pub autonomy: AutonomyRules,
    /// How long a run that waits for a person holds those below it, in milliseconds.
    pub person_wait_ms: u64,
    /// How long a run that does not begin holds those below it, in milliseconds: behind a lock, or without an agent.
    pub pending_wait_ms: u64,
    /// What a workspace that failed or was declined does to those below it.
    pub after_failure: AfterFailure,
    /// How long the outputs of a workspace must have been unchanged before those who read them run, in milliseconds.
    /// 0: they run at once.
    pub settle_ms: u64,
    /// How much may be run.
    pub budgets: Budgets,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            autonomy: AutonomyRules::default(),
            person_wait_ms: 3_600_000,
            pending_wait_ms: 24 * 3_600_000,
            after_failure: AfterFailure::Hold,
            settle_ms: 0,
            budgets: Budgets::default(),
        }
    }
}

/// Most runs that Sluice may create. What is over a limit is not lost: it waits, or a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// How many steps below the workspace where it began a change may travel.
    pub depth: u32,
    /// How many runs one change may set off, all steps together.
    pub wave_runs: u32,
    /// How many runs may be created in an hour of the clock.
    pub runs_per_hour: u32,
    /// How many of the runs that Sluice created may be under way at once.
    pub concurrent_runs: u32,
}

impl Default for Budgets {
    fn default() -> Self {
        Self { depth: 32, wave_runs: 500, runs_per_hour: 1_000, concurrent_runs: Self::UNLIMITED }
    }
}

impl Budgets {
    /// No limit.
    pub const UNLIMITED: u32 = u32::MAX;
}

/// What Sluice does about a workspace that became stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Autonomy {
    /// Facts and decisions are recorded, no run is created.
    Observe,
    /// A plan-only run shows what would change; a person applies.
    Plan,
    /// A run is created, and applies where the workspace's own setting says so.
    Run,
}

/// Before a tag's word: `sluice:observe`, `sluice:plan`, `sluice:run`.
const TAG_PREFIX: &str = "sluice:";

impl Autonomy {
    /// What a workspace's tags say, in capital letters or small. If they contradict each other, the most cautious
    /// counts; a word that is not known is taken for the most cautious, as somebody meant something by it.
    #[must_use]
    pub fn of_tags<'a>(tags: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let words = tags.into_iter().map(str::to_lowercase);
        words.filter_map(|tag| Some(tag.strip_prefix(TAG_PREFIX)?.parse().unwrap_or(Self::Observe))).min()
    }
}

impl fmt::Display for Autonomy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observe => "observe",
            Self::Plan => "plan",
            Self::Run => "run",
        })
    }
}

impl FromStr for Autonomy {
    type Err = UnknownAutonomy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "observe" => Ok(Self::Observe),
            "plan" => Ok(Self::Plan),
            "run" => Ok(Self::Run),
            _ => Err(UnknownAutonomy),
        }
    }
}

/// A word that is none of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is none of observe, plan and run")]
pub struct UnknownAutonomy;

/// Which autonomy holds where: a pattern of the operator's, else the workspace's own tag, else the default.
#[derive(Debug, Clone, PartialEq)]
pub struct AutonomyRules {
    /// For workspaces that neither a pattern nor a tag speaks of.
    pub default: Autonomy,
    /// Patterns over `organization/workspace`, in which `*` stands for any text; the first that matches counts.
    pub patterns: Vec<(WildMatch, Autonomy)>,
}

impl Default for AutonomyRules {
    fn default() -> Self {
        Self::all(Autonomy::Run)
    }
}

impl AutonomyRules {
    /// The same everywhere, unless a tag says otherwise.
    #[must_use]
    pub fn all(default: Autonomy) -> Self {
        Self { default, patterns: Vec::new() }
    }

    /// What a pattern says of `workspace`, whatever its tags.
    #[must_use]
    pub fn fixed(&self, workspace: &Workspace) -> Option<Autonomy> {
        let name = workspace.short();
        self.patterns.iter().find(|(pattern, _)| pattern.matches(&name)).map(|(_, autonomy)| *autonomy)
    }

    /// What holds in `workspace`, whose tags say `tagged`.
    #[must_use]
    pub fn of(&self, workspace: &Workspace, tagged: Option<Autonomy>) -> Autonomy {
        let fixed = if self.patterns.is_empty() { None } else { self.fixed(workspace) };
        fixed.or(tagged).unwrap_or(self.default)
    }
}

/// `acme/prod-*=plan, acme/legacy=observe`
impl FromStr for AutonomyRules {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut patterns = Vec::new();
        let mut seen = BTreeSet::new();
        for rule in text.split([',', '\n']).map(str::trim).filter(|rule| !rule.is_empty()) {
            let (pattern, word) = rule.rsplit_once('=').ok_or(InvalidRule::NoWord)?;
            let pattern = pattern.trim();
            if pattern.split('/').count() != 2 || pattern.split('/').any(str::is_empty) {
                return Err(InvalidRule::Pattern);
            }
            if !seen.insert(pattern) {
                return Err(InvalidRule::Twice);
            }
            patterns.push((WildMatch::new(pattern), word.trim().parse().map_err(|_| InvalidRule::Word)?));
        }
        Ok(Self { patterns, ..Self::default() })
    }
}

/// A rule that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    /// There is no `=`.
    #[error("has a rule that is not organization/workspace=autonomy")]
    NoWord,
    /// The pattern does not have two parts.
    #[error("has a pattern that is not organization/workspace, each of which may hold *")]
    Pattern,
    /// The same pattern stands twice.
    #[error("has the same pattern twice")]
    Twice,
    /// The word is not known.
    #[error("has a rule whose autonomy is none of observe, plan and run")]
    Word,
}

/// What happens below a workspace that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// It is held until the failed workspace applies.
    Hold,
    /// It goes on with what is true now.
    Continue,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(name: &str) -> Workspace {
        format!("app.terraform.io/acme/{name}").parse().unwrap()
    }

    #[test]
    fn a_pattern_comes_before_a_tag_and_a_tag_before_the_default() {
        let rules: AutonomyRules = "acme/prod-*=plan, acme/prod-db=run,\n other/*=observe".parse().unwrap();
        let of = |name: &str, tagged| rules.of(&workspace(name), tagged);
        assert_eq!(of("prod-web", None), Autonomy::Plan);
        assert_eq!(of("prod-db", None), Autonomy::Plan, "the first pattern counts");
        assert_eq!(of("prod-web", Some(Autonomy::Run)), Autonomy::Plan);
        assert_eq!(of("dev", Some(Autonomy::Observe)), Autonomy::Observe);
        assert_eq!(of("dev", None), Autonomy::Run);
        assert_eq!(AutonomyRules::all(Autonomy::Observe).of(&workspace("dev"), Some(Autonomy::Run)), Autonomy::Run);
    }

    #[test]
    fn tags_speak_with_a_prefix_and_the_most_cautious_counts() {
        assert_eq!(Autonomy::of_tags(["team:net", "sluice:run", "sluice:plan"]), Some(Autonomy::Plan));
        assert_eq!(Autonomy::of_tags(["sluice", "other:sluice:run", "observe"]), None);
        for slip in ["sluice:", "sluice:off", "sluice:observ", "Sluice:Observe"] {
            assert_eq!(Autonomy::of_tags(["sluice:run", slip]), Some(Autonomy::Observe), "{slip}");
        }
    }

    #[test]
    fn rules_that_cannot_be_read_are_refused() {
        for (text, expect) in [
            ("acme/prod", InvalidRule::NoWord),
            ("prod=plan", InvalidRule::Pattern),
            ("acme/=plan", InvalidRule::Pattern),
            ("acme/a/b=plan", InvalidRule::Pattern),
            ("acme/prod=sometimes", InvalidRule::Word),
            ("acme/*=plan,acme/*=run", InvalidRule::Twice),
        ] {
            assert_eq!(text.parse::<AutonomyRules>(), Err(expect), "{text}");
        }
        assert_eq!("".parse::<AutonomyRules>(), Ok(AutonomyRules::default()));
    }
}
