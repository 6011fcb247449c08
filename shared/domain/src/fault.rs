//! Who must act on an error: nobody but time, or a person.

/// What kind of trouble an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It may pass: try again, not before `after_ms` where the far side said so.
    Transient {
        /// Milliseconds the far side asked to be left alone.
        after_ms: Option<u64>,
    },
    /// Nothing was done, as the far side is to be left alone for `after_ms`. It says nothing about the work itself.
    Throttled {
        /// Milliseconds.
        after_ms: u64,
    },
    /// It will not pass by itself: a person must act.
    Permanent,
}

impl Fault {
    /// Transient, with no wish of the far side.
    pub const TRANSIENT: Self = Self::Transient { after_ms: None };
}

/// An error that knows who must act on it. Implementations match without a wildcard, so a new variant must choose.
pub trait Classify: std::error::Error {
    /// Who must act.
    fn fault(&self) -> Fault;
}

/// A failure that those who may see the run are told of.
pub trait Told: Classify {
    /// In words that hold nothing secret: no policy of an account, no name of a role, no address.
    fn told(&self) -> String;
}

/// First wait before a second attempt, in milliseconds; it doubles with each further one.
const BACKOFF_FIRST_MS: u64 = 1_000;
/// Longest wait between attempts, in milliseconds.
const BACKOFF_LONGEST_MS: u64 = 300_000;

/// How much longer each further wait is where the far side says how long to wait, in milliseconds.
const BACKOFF_MORE_MS: u64 = 250;

/// Milliseconds to wait before attempt `attempts + 1`: 1 s, 2 s, 4 s … 5 min; or as long as the far side asked, and a
/// little longer each time.
///
/// `spread` (any number, say a hash of the work's key) moves the wait by up to a quarter, so that work that failed
/// together does not come back together.
#[must_use]
pub fn backoff_ms(attempts: u32, after_ms: Option<u64>, spread: u64) -> u64 {
    let before = attempts.saturating_sub(1);
    let wait = match after_ms {
        Some(after_ms) => after_ms + BACKOFF_MORE_MS * u64::from(before),
        None => BACKOFF_FIRST_MS << before.min(16),
    };
    let wait = wait.min(BACKOFF_LONGEST_MS);
    wait + wait * (spread % 256) / 1024
}

/// An error and its sources in one line: the form in which faults are stored and logged.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::backoff_ms;

    #[test]
    fn the_wait_doubles_up_to_five_minutes_and_obeys_the_far_side() {
        assert_eq!(backoff_ms(1, None, 0), 1_000);
        assert_eq!(backoff_ms(4, None, 0), 8_000);
        assert_eq!(backoff_ms(60, None, 0), 300_000);
        assert_eq!(backoff_ms(1, Some(7_500), 0), 7_500);
        assert_eq!(backoff_ms(3, Some(200), 0), 700);
        assert_eq!(backoff_ms(u32::MAX, Some(200), 0), 300_000);
        assert!((1_000..=1_250).contains(&backoff_ms(1, None, 255)));
    }
}
