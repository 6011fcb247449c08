//! Request limits as HCP Terraform has them: per user in any second, and for run lists in any minute.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::options::Limits;
use super::view::Exceeded;

/// Who asks, and for which kind of run list, if for one.
pub(super) type Window<'a> = (&'a str, Option<&'static str>);

/// Remembers the requests of the last second and minute.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    seconds: BTreeMap<String, VecDeque<Instant>>,
    minutes: BTreeMap<(String, &'static str), VecDeque<Instant>>,
    pub exceeded: Exceeded,
}

/// What the limits say of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Admission {
    pub admitted: bool,
    /// The limit, what is left of it, and in how many seconds one more is free. None without a limit.
    pub quota: Option<(u32, u32, f64)>,
}

impl Limiter {
    /// Counts a request. A refused one does not count against the limit.
    pub fn admit(&mut self, (user, list): Window<'_>, limits: Limits, now: Instant) -> Admission {
        let mut admission = Admission { admitted: true, quota: None };
        if let Some(limit) = limits.per_second {
            let window = self.seconds.entry(user.to_owned()).or_default();
            admission = count(window, limit, Duration::from_secs(1), now);
            self.exceeded.per_second += u64::from(!admission.admitted);
        }
        if let (true, Some(limit), Some(list)) = (admission.admitted, limits.run_lists_per_minute, list) {
            let window = self.minutes.entry((user.to_owned(), list)).or_default();
            let lists = count(window, limit, Duration::from_mins(1), now);
            self.exceeded.run_lists += u64::from(!lists.admitted);
            if !lists.admitted {
                admission = lists;
            }
        }
        admission
    }
}

fn count(window: &mut VecDeque<Instant>, limit: u32, length: Duration, now: Instant) -> Admission {
    while window.front().is_some_and(|first| now.duration_since(*first) >= length) {
        window.pop_front();
    }
    let limit_reached = window.len() >= limit as usize;
    if !limit_reached {
        window.push_back(now);
    }
    let remaining = limit.saturating_sub(u32::try_from(window.len()).unwrap_or(u32::MAX));
    let reset = window.front().map_or(Duration::ZERO, |first| length.saturating_sub(now.duration_since(*first)));
    Admission { admitted: !limit_reached, quota: Some((limit, remaining, reset.as_secs_f64())) }
}
