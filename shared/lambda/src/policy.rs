//! What is allowed, as the environment says it.

use sluice_domain::{AfterFailure, Autonomy, AutonomyRules, Budgets, Policy};

use crate::env::Env;

/// Requests a second that HCP Terraform allows one user (contract hcp-terraform, section 3.1).
pub const API_REQUESTS_PER_SECOND: u32 = 30;

/// What Sluice may do and how much of it: `SLUICE_AUTONOMY` and the variables beside it.
pub fn policy(env: &mut Env<'_>) -> Option<Policy> {
    let default = Policy::default();
    let words = [("run", Autonomy::Run), ("plan", Autonomy::Plan), ("observe", Autonomy::Observe)];
    let autonomy = one_of(env, "SLUICE_AUTONOMY", &words);
    let rules = rules(env);
    let after_failure =
        one_of(env, "SLUICE_AFTER_FAILURE", &[("hold", AfterFailure::Hold), ("continue", AfterFailure::Continue)]);
    let person_wait_ms = seconds(env, "SLUICE_PERSON_WAIT_SECONDS", default.person_wait_ms);
    let pending_wait_ms = seconds(env, "SLUICE_PENDING_WAIT_SECONDS", default.pending_wait_ms);
    let settle_ms = seconds(env, "SLUICE_SETTLE_SECONDS", default.settle_ms);
    let depth = limit(env, "SLUICE_DEPTH_MAX", default.budgets.depth);
    let wave_runs = limit(env, "SLUICE_WAVE_RUNS_MAX", default.budgets.wave_runs);
    let runs_per_hour = limit(env, "SLUICE_RUNS_PER_HOUR", default.budgets.runs_per_hour);
    let concurrent_runs = limit(env, "SLUICE_CONCURRENT_RUNS", default.budgets.concurrent_runs);
    Some(Policy {
        autonomy: AutonomyRules { default: autonomy?, ..rules? },
        person_wait_ms: person_wait_ms?,
        pending_wait_ms: pending_wait_ms?,
        after_failure: after_failure?,
        settle_ms: settle_ms?,
        budgets: Budgets {
            depth: depth?,
            wave_runs: wave_runs?,
            runs_per_hour: runs_per_hour?,
            concurrent_runs: concurrent_runs?,
        },
    })
}

/// How many API requests a second all functions together may make: `SLUICE_API_REQUESTS_PER_SECOND`.
pub fn api_requests_per_second(env: &mut Env<'_>) -> Option<u32> {
    const VARIABLE: &str = "SLUICE_API_REQUESTS_PER_SECOND";
    let per_second = env.or(VARIABLE, API_REQUESTS_PER_SECOND)?;
    if per_second < LEAST_REQUESTS_PER_SECOND {
        env.fault(VARIABLE, "is less than 6, which leaves too little for each kind of work");
        return None;
    }
    Some(per_second)
}

/// How often something is asked, in milliseconds, from a variable in seconds. Without a pause is not allowed.
pub fn interval_ms(env: &mut Env<'_>, name: &'static str, default_ms: u64) -> Option<u64> {
    let interval_ms = seconds(env, name, default_ms)?;
    if interval_ms == 0 {
        env.fault(name, "is 0, which would ask without a pause");
        return None;
    }
    Some(interval_ms)
}

const LEAST_REQUESTS_PER_SECOND: u32 = 6;

/// Rules by pattern: `SLUICE_AUTONOMY_RULES`.
fn rules(env: &mut Env<'_>) -> Option<AutonomyRules> {
    const VARIABLE: &str = "SLUICE_AUTONOMY_RULES";
    let Some(text) = env.optional::<String>(VARIABLE)? else { return Some(AutonomyRules::default()) };
    text.parse().map_err(|error: sluice_domain::InvalidRule| env.fault(VARIABLE, &error.to_string())).ok()
}

/// A time in seconds, in milliseconds.
fn seconds(env: &mut Env<'_>, name: &'static str, default_ms: u64) -> Option<u64> {
    env.or(name, default_ms / 1000).map(|seconds| seconds.saturating_mul(1000))
}

/// A limit; 0 is none.
fn limit(env: &mut Env<'_>, name: &'static str, default: u32) -> Option<u32> {
    let limit = env.optional(name)?.unwrap_or(default);
    Some(if limit == 0 { Budgets::UNLIMITED } else { limit })
}

/// A variable that is one of some words; the first is the default.
fn one_of<T: Copy>(env: &mut Env<'_>, name: &'static str, words: &[(&str, T)]) -> Option<T> {
    let word: String = env.or(name, words[0].0.to_owned())?;
    let found = words.iter().find(|(candidate, _)| *candidate == word);
    if found.is_none() {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        env.fault(name, &format!("is none of {}", words.join(", ")));
    }
    found.map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn told(vars: &[(&str, &str)]) -> Result<Policy, String> {
        let vars: BTreeMap<String, String> = vars.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let mut env = Env::new(&vars);
        let policy = policy(&mut env);
        env.finish(|| policy).map_err(|error| error.to_string())
    }

    #[test]
    fn the_policy_is_cautious_about_failures_and_people_unless_told_otherwise() {
        assert_eq!(told(&[]), Ok(Policy::default()));
        let other = told(&[
            ("SLUICE_AUTONOMY", "observe"),
            ("SLUICE_AUTONOMY_RULES", "acme/dev-*=run"),
            ("SLUICE_PERSON_WAIT_SECONDS", "60"),
            ("SLUICE_PENDING_WAIT_SECONDS", "600"),
            ("SLUICE_AFTER_FAILURE", "continue"),
            ("SLUICE_SETTLE_SECONDS", "30"),
            ("SLUICE_DEPTH_MAX", "3"),
            ("SLUICE_WAVE_RUNS_MAX", "40"),
            ("SLUICE_RUNS_PER_HOUR", "0"),
            ("SLUICE_CONCURRENT_RUNS", "5"),
        ]);
        let rules: AutonomyRules = "acme/dev-*=run".parse().unwrap();
        let expected = Policy {
            autonomy: AutonomyRules { default: Autonomy::Observe, ..rules },
            person_wait_ms: 60_000,
            pending_wait_ms: 600_000,
            after_failure: AfterFailure::Continue,
            settle_ms: 30_000,
            budgets: Budgets { depth: 3, wave_runs: 40, runs_per_hour: Budgets::UNLIMITED, concurrent_runs: 5 },
        };
        assert_eq!(other, Ok(expected));
    }

    #[test]
    fn what_cannot_be_read_is_told_all_at_once() {
        let wrong = told(&[
            ("SLUICE_AUTONOMY", "sometimes"),
            ("SLUICE_AUTONOMY_RULES", "prod=plan"),
            ("SLUICE_SETTLE_SECONDS", "soon"),
        ]);
        let expected = "invalid configuration: SLUICE_AUTONOMY is none of run, plan, observe; SLUICE_AUTONOMY_RULES has \
                        a pattern that is not organization/workspace, each of which may hold *; SLUICE_SETTLE_SECONDS \
                        is not a whole number";
        assert_eq!(wrong, Err(expected.to_owned()));
    }
}
