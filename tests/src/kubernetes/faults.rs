//! Faults as data: what the API does wrong, and with which requests.

/// A fault of the API, for the next requests that it matches. Those of kubelets match none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`; `*` is any.
    pub verb: String,
    /// `jobs`, `pods`, `pods/log` and so on; `*` is any.
    pub resource: String,
    /// How many of these pass first.
    pub skip: u32,
    /// How many it then strikes.
    pub times: u32,
    /// What happens.
    pub what: Mishap,
}

/// What the API does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// 429, with a `Retry-After` of so many seconds.
    TooManyRequests(u32),
    /// 500.
    InternalError,
    /// 503.
    Unavailable,
    /// 403, as authorization says it.
    Forbidden,
    /// 403, as a quota says it.
    QuotaExceeded,
    /// 401, as of a token that has expired.
    Unauthorized,
    /// The connection is closed without an answer, and nothing happened.
    CutBeforeEffect,
    /// The connection is closed without an answer, but what was asked was done.
    CutAfterEffect,
    /// It never answers, and nothing happens.
    Hang,
}

impl Fault {
    /// The next such request.
    #[must_use]
    pub fn next(verb: &str, resource: &str, what: Mishap) -> Self {
        Self { verb: verb.to_owned(), resource: resource.to_owned(), skip: 0, times: 1, what }
    }

    /// So many of them.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// After so many that pass.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Whether it strikes a request; it counts those that it sees.
    pub(super) fn strikes(&mut self, verb: &str, resource: &str) -> bool {
        let matches = |wanted: &str, found: &str| wanted == "*" || wanted == found;
        if !matches(&self.verb, verb) || !matches(&self.resource, resource) || self.times == 0 {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times -= 1;
        true
    }
}
