//! The simulator's clock: real time, but no two moments alike, so that "created after" always has an answer.

use time::{Duration, OffsetDateTime};

/// Hands out moments one millisecond apart at least, in order.
#[derive(Debug)]
pub(super) struct Clock {
    last: OffsetDateTime,
    day_one: OffsetDateTime,
}

impl Clock {
    pub fn new() -> Self {
        let now = OffsetDateTime::now_utc();
        Self { last: now, day_one: now - Duration::hours(1) }
    }

    /// Now, later than every moment given out before.
    pub fn tick(&mut self) -> OffsetDateTime {
        self.last = OffsetDateTime::now_utc().max(self.last + Duration::MILLISECOND);
        self.last
    }

    /// A moment before the simulator started: for the states it starts out with.
    pub fn day_one(&mut self) -> OffsetDateTime {
        self.day_one += Duration::MILLISECOND;
        self.day_one
    }
}

/// As in `created-at`: `2026-11-20T10:00:00.123Z`.
pub(super) fn millis(at: OffsetDateTime) -> String {
    format!("{}.{:03}Z", to_the_second(at), at.millisecond())
}

/// As in notifications, which are cut to the second: `2026-11-20T10:00:00.000Z`.
pub(super) fn seconds(at: OffsetDateTime) -> String {
    format!("{}.000Z", to_the_second(at))
}

/// As in `status-timestamps`: `2026-11-20T10:00:00+00:00`.
pub(super) fn offset(at: OffsetDateTime) -> String {
    format!("{}+00:00", to_the_second(at))
}

fn to_the_second(at: OffsetDateTime) -> String {
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}", u8::from(month))
}
