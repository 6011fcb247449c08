//! The time in a `Date` header.

use crate::time::Timestamp;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Timestamp {
    /// The time that a `Date` header tells, as `Sun, 06 Nov 1994 08:49:37 GMT`: the one form that is still sent.
    #[must_use]
    pub fn of_http_date(text: &str) -> Option<Self> {
        let (_, date) = text.trim().split_once(", ")?;
        let mut parts = date.split(' ');
        let day: u64 = parts.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
        let month = parts.next()?;
        let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
        let year: u64 = parts.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
        let mut clock = parts.next()?.split(':').map(|part| part.parse::<u64>().ok());
        let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
        let utc = parts.next()? == "GMT" && parts.next().is_none() && clock.next().is_none();
        let of_a_day = hour < 24 && minute < 60 && second <= 60;
        (utc && of_a_day).then(|| Self((days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000))
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, in years that begin in March, so that the leap day is the
/// last of its year.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_header_tells_the_time() {
        for (text, expect) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.000Z"),
            ("Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37.000Z"),
            ("Tue, 29 Feb 2000 23:59:59 GMT", "2000-02-29T23:59:59.000Z"),
            (" Fri, 01 Mar 2024 00:00:00 GMT ", "2024-03-01T00:00:00.000Z"),
            ("Fri, 20 Nov 2026 10:00:00 GMT", "2026-11-20T10:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::of_http_date(text).map(|at| at.to_string()).as_deref(), Some(expect));
        }
        for text in [
            "",
            "now",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
        ] {
            assert_eq!(Timestamp::of_http_date(text), None, "{text}");
        }
    }
}
