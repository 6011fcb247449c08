//! The API over HTTP: one store of JSON objects, and the verbs that Kubernetes has for it.

mod call;
mod clock;
mod defaults;
mod logs;
mod patch;
mod refusal;
mod resource;
mod schema;
mod select;
mod serve;
mod socket;
mod validate;
mod validate_pod;
mod verbs;
mod watch;
mod world;

pub(super) use call::DeleteOptions;
pub(super) use clock::{parse, text};
pub(super) use resource::{Key, Resource};
pub(super) use serve::serve;
pub(super) use socket::{Line, Sockets};
pub(super) use world::{Object, World, condition, is_deleting, name_of, set_condition, uid_of};
