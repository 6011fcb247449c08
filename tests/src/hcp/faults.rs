//! Faults as data: what the API and the delivery of notifications do wrong, and when.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::api::Route;
use super::tasks::Stage;
use super::view::RunStatus;

/// All faults in force; empty at the start.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Of the API. The first that applies is taken.
    pub api: Vec<ApiFault>,
    /// Of the delivery of notifications. The first that applies is taken.
    pub notifications: Vec<NotificationFault>,
    /// Of requests to run tasks. The first that applies is taken.
    pub task_requests: Vec<TaskRequestFault>,
}

/// A fault of the API.
#[derive(Debug, Clone)]
pub struct ApiFault {
    /// The requests it concerns.
    pub route: Route,
    /// Which of these it strikes.
    pub when: When,
    /// What happens.
    pub what: ApiMishap,
}

impl ApiFault {
    /// The next `times` requests of this route.
    #[must_use]
    pub fn next(route: Route, times: u32, what: ApiMishap) -> Self {
        Self { route, when: When::next(times), what }
    }

    /// Every `n`th request of this route.
    #[must_use]
    pub fn every(route: Route, n: u32, what: ApiMishap) -> Self {
        Self { route, when: When::every(n), what }
    }
}

/// What the API does wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ApiMishap {
    /// It answers with this status, without effect.
    Status(u16),
    /// It answers with this status, but did what was asked: as a gateway does that lost patience.
    StatusAfterEffect(u16),
    /// It answers 429.
    RateLimited {
        /// The `x-ratelimit-reset` header.
        reset_seconds: f64,
    },
    /// It never answers, and nothing happens.
    Timeout,
    /// The connection is closed without an answer, and nothing happened.
    CutBeforeEffect,
    /// The connection is closed without an answer, but what was asked was done.
    CutAfterEffect,
    /// The answer's body comes in eight pieces, this long apart.
    SlowBody(Duration),
    /// The connection is closed after half of the answer's body.
    TruncatedBody,
    /// It answers 200 with a page of HTML.
    NotJson,
}

/// A fault of the delivery of notifications.
#[derive(Debug, Clone)]
pub struct NotificationFault {
    /// The trigger it concerns, as `run:completed`; `None` is any.
    pub trigger: Option<String>,
    /// Which notifications of this trigger it strikes.
    pub when: When,
    /// What happens.
    pub what: NotificationMishap,
}

impl NotificationFault {
    /// Every notification strikes this.
    #[must_use]
    pub fn always(what: NotificationMishap) -> Self {
        Self { trigger: None, when: When::always(), what }
    }

    /// The next `times` notifications.
    #[must_use]
    pub fn next(times: u32, what: NotificationMishap) -> Self {
        Self { trigger: None, when: When::next(times), what }
    }

    /// Every `n`th notification.
    #[must_use]
    pub fn every(n: u32, what: NotificationMishap) -> Self {
        Self { trigger: None, when: When::every(n), what }
    }

    /// Those that `predicate` says.
    #[must_use]
    pub fn matching(predicate: impl Fn(&Notice) -> bool + Send + Sync + 'static, what: NotificationMishap) -> Self {
        Self { trigger: None, when: When { matching: Some(Predicate(Arc::new(predicate))), ..When::always() }, what }
    }

    /// Of these, those of one trigger.
    #[must_use]
    pub fn trigger(mut self, trigger: &str) -> Self {
        self.trigger = Some(trigger.to_owned());
        self
    }
}

/// What goes wrong with a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotificationMishap {
    /// It is not sent.
    Lose,
    /// It is sent this many times more.
    Duplicate(u32),
    /// It is sent this much later, whatever was to come after it.
    Delay(Duration),
    /// It is held and sent after the next one of its configuration. If none comes soon it is sent alone.
    Reorder,
}

/// A fault of requests to run tasks. Each attempt counts as one request.
#[derive(Debug, Clone)]
pub struct TaskRequestFault {
    /// The task it concerns, by name; `None` is any.
    pub task: Option<String>,
    /// The stage it concerns; `None` is any.
    pub stage: Option<Stage>,
    /// Which of these requests it strikes.
    pub when: When,
    /// What happens.
    pub what: TaskRequestMishap,
}

impl TaskRequestFault {
    /// Every request.
    #[must_use]
    pub fn always(what: TaskRequestMishap) -> Self {
        Self { task: None, stage: None, when: When::always(), what }
    }

    /// The next `times` requests.
    #[must_use]
    pub fn next(times: u32, what: TaskRequestMishap) -> Self {
        Self { when: When::next(times), ..Self::always(what) }
    }

    /// Every `n`th request.
    #[must_use]
    pub fn every(n: u32, what: TaskRequestMishap) -> Self {
        Self { when: When::every(n), ..Self::always(what) }
    }

    /// Of these, those to one task.
    #[must_use]
    pub fn task(mut self, name: &str) -> Self {
        self.task = Some(name.to_owned());
        self
    }

    /// Of these, those of one stage.
    #[must_use]
    pub fn stage(mut self, stage: Stage) -> Self {
        self.stage = Some(stage);
        self
    }
}

/// What goes wrong with a request to a run task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskRequestMishap {
    /// It is not sent, as if nobody had answered it.
    Lose,
    /// It is sent this many times more, one after the other, whatever is answered.
    Duplicate(u32),
    /// It is sent this many times more, all at once.
    Concurrent(u32),
    /// It is sent this much later.
    Delay(Duration),
}

/// A notification, as a predicate sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The workspace's name.
    pub workspace: String,
    /// The run.
    pub run: String,
    /// The trigger.
    pub trigger: String,
    /// The run's status.
    pub status: RunStatus,
}

/// Which of the things it sees a fault strikes. It counts them, and never throws dice.
#[derive(Debug, Clone)]
pub struct When {
    /// It lets this many pass first.
    pub skip: u32,
    /// Then it strikes every nth: 1 is each one, 2 the second, the fourth and so on.
    pub every: u32,
    /// It strikes this many times; `None` is without end.
    pub times: Option<u32>,
    /// It sees only notifications that this accepts.
    pub matching: Option<Predicate>,
    seen: u32,
}

impl When {
    /// Each one.
    #[must_use]
    pub fn always() -> Self {
        Self { skip: 0, every: 1, times: None, matching: None, seen: 0 }
    }

    /// The next ones.
    #[must_use]
    pub fn next(times: u32) -> Self {
        Self { times: Some(times), ..Self::always() }
    }

    /// Every nth.
    #[must_use]
    pub fn every(n: u32) -> Self {
        Self { every: n.max(1), ..Self::always() }
    }

    /// The `nth` alone, counted from 0.
    #[must_use]
    pub fn nth(nth: u32) -> Self {
        Self { skip: nth, ..Self::next(1) }
    }

    fn strikes(&mut self) -> bool {
        self.seen += 1;
        let counted = self.seen.saturating_sub(self.skip);
        if counted == 0 || !counted.is_multiple_of(self.every.max(1)) || self.times == Some(0) {
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }
}

/// A question to a notification.
#[derive(Clone)]
pub struct Predicate(Arc<dyn Fn(&Notice) -> bool + Send + Sync>);

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Predicate")
    }
}

impl Faults {
    /// What is to go wrong with a request of this route.
    pub(super) fn of_request(&mut self, route: Route) -> Option<ApiMishap> {
        let mut concerned = self.api.iter_mut().filter(|fault| fault.route == Route::Any || fault.route == route);
        concerned.find_map(|fault| fault.when.strikes().then_some(fault.what))
    }

    /// What is to go wrong with a request to a run task.
    pub(super) fn of_task_request(&mut self, task: &str, stage: Stage) -> Option<TaskRequestMishap> {
        self.task_requests.iter_mut().find_map(|fault| {
            let concerned =
                fault.task.as_ref().is_none_or(|name| name == task) && fault.stage.is_none_or(|wanted| wanted == stage);
            (concerned && fault.when.strikes()).then_some(fault.what)
        })
    }

    /// What is to go wrong with a notification.
    pub(super) fn of_notification(&mut self, notice: &Notice) -> Option<NotificationMishap> {
        self.notifications.iter_mut().find_map(|fault| {
            let concerned = fault.trigger.as_ref().is_none_or(|trigger| *trigger == notice.trigger)
                && fault.when.matching.as_ref().is_none_or(|matching| matching.0(notice));
            (concerned && fault.when.strikes()).then_some(fault.what)
        })
    }
}
