//! Our clock against others'.

use sluice_domain::Timestamp;

use super::report::Line;

/// From how far apart clocks are worth a word: a header tells whole seconds, and an answer takes its time.
const NOTICED_MS: u64 = 15_000;
/// From how far apart signed requests to AWS are refused, and what was created before what is told wrongly.
const REFUSED_MS: u64 = 240_000;

/// A line about the clock of `whose`, which said `theirs` at our `ours`.
pub(super) fn compare(whose: &str, theirs: Timestamp, ours: Timestamp) -> Line {
    let apart = theirs.since_ms(ours).max(ours.since_ms(theirs));
    if apart < NOTICED_MS {
        return Line::well(format!("the clock of {whose} agrees with ours"));
    }
    let which = if theirs > ours { "ahead of" } else { "behind" };
    let what = format!("the clock of {whose} is {} {which} ours", duration(apart));
    let mend = "set the clocks by NTP (timedatectl set-ntp true): what a run has seen is told by when it was created";
    if apart < REFUSED_MS { Line::warning(what, mend) } else { Line::wrong(what, mend) }
}

/// A time in people's words.
pub(super) fn duration(ms: u64) -> String {
    let (count, unit) = match ms / 1_000 {
        seconds @ 0..=119 => (seconds, "second"),
        seconds @ 120..=7_199 => (seconds / 60, "minute"),
        seconds @ 7_200..=172_799 => (seconds / 3_600, "hour"),
        seconds => (seconds / 86_400, "day"),
    };
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Level;

    #[test]
    fn clocks_that_are_apart_are_told() {
        let ours = Timestamp(1_800_000_000_000);
        for (theirs, level, what) in [
            (ours.0 + 900, Level::Well, "the clock of it agrees with ours"),
            (ours.0 - 14_999, Level::Well, "the clock of it agrees with ours"),
            (ours.0 + 90_000, Level::Warning, "the clock of it is 90 seconds ahead of ours"),
            (ours.0 - 600_000, Level::Wrong, "the clock of it is 10 minutes behind ours"),
            (0, Level::Wrong, "the clock of it is 20833 days behind ours"),
        ] {
            let line = compare("it", Timestamp(theirs), ours);
            assert_eq!((line.level, line.what.as_str()), (level, what));
        }
    }
}
