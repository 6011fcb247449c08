//! The one place where time enters.

use std::time::{SystemTime, UNIX_EPOCH};

use sluice_domain::Timestamp;

/// Now, by the machine's clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is where time enters")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
