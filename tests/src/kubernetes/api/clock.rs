//! The cluster's clock: real time, plus what a test has moved it on by.

use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

#[derive(Debug, Default)]
pub(in crate::kubernetes) struct Clock {
    ahead: Duration,
}

impl Clock {
    pub fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + self.ahead
    }

    pub fn advance(&mut self, by: Duration) {
        self.ahead += by;
    }
}

/// As in every object, cut to the second: `2026-11-20T10:00:00Z`.
pub(in crate::kubernetes) fn text(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
}

/// The moment that such a text says.
pub(in crate::kubernetes) fn parse(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}
