//! From the notification configurations of a workspace or a project to the one of ours that it has to have.

use std::collections::BTreeSet;
use std::fmt;

use crate::names::NotificationId;
use crate::onboarding::{Endpoint, NotificationFound, TriggerWords};

/// Most notification configurations that a workspace may have (contract hcp-terraform, section 1.1).
pub const CONFIGURATIONS_MAX: usize = 20;

/// What is to be true of every workspace or project.
#[derive(Debug, Clone)]
pub struct NotificationAim {
    /// Where Sluice is.
    pub endpoint: Endpoint,
    /// Where it was before.
    pub former: Vec<Endpoint>,
    /// In which words it is said what to tell of.
    pub words: TriggerWords,
    /// The token is written to all that there are: it is a new one.
    pub rotate: bool,
    /// Nothing of ours is to be left.
    pub none: bool,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotificationPlan {
    /// Nothing: it is as it has to be.
    Right,
    /// These.
    Steps(Vec<NotificationStep>),
    /// It cannot be done.
    Refused(Refusal),
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotificationStep {
    /// One is created.
    Create {
        /// What it tells of.
        triggers: BTreeSet<String>,
    },
    /// One is made what it has to be.
    Update {
        /// Which.
        id: NotificationId,
        /// What it tells of from then on; others may have added to that.
        triggers: BTreeSet<String>,
        /// What is mended by that.
        repairs: Vec<Repair>,
    },
    /// One is deleted.
    Delete {
        /// Which.
        id: NotificationId,
        /// Another of ours stays, and everything would be told twice.
        double: bool,
    },
}

/// What is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// It sends to where Sluice was before.
    Moved,
    /// It is switched off.
    Disabled,
    /// It does not tell of these.
    Triggers(Vec<&'static str>),
    /// Its receiver answered 401: it signs with another token.
    Token,
    /// The token is a new one.
    Rotated,
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved => f.write_str("its URL is a former one"),
            Self::Disabled => f.write_str("it is disabled"),
            Self::Triggers(missing) => write!(f, "it does not tell of {}", missing.join(", ")),
            Self::Token => f.write_str("its token is refused with 401"),
            Self::Rotated => f.write_str("its token is to be replaced"),
        }
    }
}

/// Why nothing can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There are as many configurations as there may be, and none is ours.
    Full,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => write!(
                f,
                "there are {CONFIGURATIONS_MAX} notification configurations, which is all that HCP Terraform allows: \
                 delete one"
            ),
        }
    }
}

/// The steps from what was `found` to exactly one configuration that tells Sluice of everything it has to hear of.
///
/// Ours are those webhooks that send to [`Endpoint::notifications`], now or formerly. Of several the best is kept.
/// Whatever is someone else's is left alone.
#[must_use]
pub fn plan_notifications(aim: &NotificationAim, found: &[NotificationFound]) -> NotificationPlan {
    let mut ours: Vec<(Vec<Repair>, &NotificationFound)> =
        found.iter().filter_map(|it| Some((repairs(aim, it)?, it))).collect();
    if aim.none {
        let delete = |(_, it): (_, &NotificationFound)| NotificationStep::Delete { id: it.id.clone(), double: false };
        return steps(ours.into_iter().map(delete).collect());
    }
    // What needs the least mending is kept, and of those the oldest, as far as ids tell.
    ours.sort_by(|(some, one), (others, other)| (some.len(), &one.id).cmp(&(others.len(), &other.id)));
    let Some(((repairs, kept), doubles)) = ours.split_first() else {
        if found.len() >= CONFIGURATIONS_MAX {
            return NotificationPlan::Refused(Refusal::Full);
        }
        return steps(vec![NotificationStep::Create { triggers: aim.words.all() }]);
    };
    let mut planned = Vec::new();
    if !repairs.is_empty() {
        let triggers = aim.words.added_to(&kept.triggers);
        planned.push(NotificationStep::Update { id: kept.id.clone(), triggers, repairs: repairs.clone() });
    }
    // Only after that: if it fails, the others are left to tell.
    planned.extend(doubles.iter().map(|(_, it)| NotificationStep::Delete { id: it.id.clone(), double: true }));
    steps(planned)
}

/// Whether one of ours among `found` tells of runs that ended, though something may have to be mended about it.
///
/// Who has such a one is told twice if there is another. One that was answered 401 last is not heard.
#[must_use]
pub fn tells(aim: &NotificationAim, found: &[NotificationFound]) -> bool {
    found.iter().any(|it| {
        let is_ours = repairs(aim, it).is_some_and(|repairs| !repairs.contains(&Repair::Token));
        is_ours && it.enabled && it.triggers.contains("run:completed")
    })
}

fn steps(steps: Vec<NotificationStep>) -> NotificationPlan {
    if steps.is_empty() { NotificationPlan::Right } else { NotificationPlan::Steps(steps) }
}

/// What is to be mended of `found`; None if it is not ours.
fn repairs(aim: &NotificationAim, found: &NotificationFound) -> Option<Vec<Repair>> {
    let url = found.url.as_deref().filter(|_| found.destination_type == "generic")?;
    let here = aim.endpoint.hears(url);
    if !here && !aim.former.iter().any(|former| former.hears(url)) {
        return None;
    }
    let mut repairs = Vec::new();
    if !here {
        repairs.push(Repair::Moved);
    }
    if !found.enabled {
        repairs.push(Repair::Disabled);
    }
    let missing: Vec<_> = TriggerWords::missing(&found.triggers).collect();
    if !missing.is_empty() {
        repairs.push(Repair::Triggers(missing));
    }
    if found.last.as_ref().is_some_and(|last| last.code == Some(401)) {
        repairs.push(Repair::Token);
    }
    if aim.rotate {
        repairs.push(Repair::Rotated);
    }
    Some(repairs)
}
