//! `output_changes` and `resource_changes`: what the plan would do.

use serde::de::{MapAccess, SeqAccess};
use sluice_domain::{ActionCounts, OutputAction, OutputChange};

use super::gathered::{Draft, Gathered};
use super::sink::{AnyTrue, Feed, Sink, Text, skip, take};
use super::values::{Shapes, Values};

/// The root outputs.
pub(super) struct OutputChanges<'a>(pub(super) &'a mut Gathered);

impl<'de> Sink<'de> for OutputChanges<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let mut change = Change::default();
            take(&mut map, &mut change)?;
            let action = match change.actions {
                Actions { create: true, delete: false, .. } => OutputAction::Created,
                Actions { delete: true, create: false, .. } => OutputAction::Deleted,
                // Something that Terraform has learned since is a change rather than none.
                Actions { create: true, .. } | Actions { update: true, .. } | Actions { other: true, .. } => {
                    OutputAction::Updated
                }
                _ if change.unknown => OutputAction::Updated,
                _ => continue,
            };
            self.0.keep::<A::Error>(name.len())?;
            self.0.outputs.insert(name, OutputChange { action, after_unknown: change.unknown });
        }
        Ok(())
    }
}

/// One change.
#[derive(Default)]
struct Change {
    actions: Actions,
    /// Something in it is only known after apply.
    unknown: bool,
}

impl<'de> Sink<'de> for &mut Change {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "actions" => take(&mut map, &mut self.actions)?,
                "after_unknown" => take(&mut map, AnyTrue(&mut self.unknown))?,
                _ => skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// A list of actions.
#[derive(Default, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "a set of the words that Terraform has for actions")]
pub(super) struct Actions {
    create: bool,
    update: bool,
    delete: bool,
    read: bool,
    forget: bool,
    no_op: bool,
    other: bool,
}

impl<'de> Sink<'de> for &mut Actions {
    fn array<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Feed(Action(self)))?.is_some() {}
        Ok(())
    }
}

struct Action<'a>(&'a mut Actions);

impl Sink<'_> for Action<'_> {
    fn text(self, text: &str) {
        let actions = self.0;
        *match text {
            "create" => &mut actions.create,
            "update" => &mut actions.update,
            "delete" => &mut actions.delete,
            "read" => &mut actions.read,
            "forget" => &mut actions.forget,
            "no-op" => &mut actions.no_op,
            _ => &mut actions.other,
        } = true;
    }
}

impl Actions {
    fn count(self, counts: &mut ActionCounts) {
        *match self {
            Self { create: true, delete: true, .. } => &mut counts.replace,
            Self { create: true, .. } => &mut counts.create,
            Self { delete: true, .. } => &mut counts.delete,
            Self { update: true, .. } => &mut counts.update,
            Self { read: true, .. } => &mut counts.read,
            Self { forget: true, .. } => &mut counts.forget,
            Self { no_op: true, .. } => &mut counts.no_op,
            _ => &mut counts.other,
        } += 1;
    }
}

/// The resources.
pub(super) struct ResourceChanges<'a>(pub(super) &'a mut Gathered);

impl<'de> Sink<'de> for ResourceChanges<'_> {
    fn array<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Feed(ResourceChange(self.0)))?.is_some() {}
        Ok(())
    }
}

struct ResourceChange<'a>(&'a mut Gathered);

impl<'de> Sink<'de> for ResourceChange<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut draft = Draft::default();
        let (mut actions, mut imports) = (Actions::default(), false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "address" => take(&mut map, Text(&mut draft.address))?,
                "mode" => take(&mut map, Text(&mut draft.mode))?,
                "type" => take(&mut map, Text(&mut draft.resource_type))?,
                "change" => {
                    let (actions, imports) = (&mut actions, &mut imports);
                    take(&mut map, Planned { draft: &mut draft, actions, imports })?;
                }
                _ => skip(&mut map)?,
            }
        }
        actions.count(&mut self.0.actions);
        self.0.actions.import += u64::from(imports);
        if actions.delete && !actions.create {
            return Ok(());
        }
        self.0.data_source::<A::Error>(draft)
    }
}

/// The change of one resource, of which the values are looked at where it reads a workspace.
struct Planned<'a> {
    draft: &'a mut Draft,
    actions: &'a mut Actions,
    imports: &'a mut bool,
}

impl<'de> Sink<'de> for Planned<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "actions" => take(&mut map, &mut *self.actions)?,
                "importing" => take(&mut map, Importing(self.imports))?,
                "after" if self.draft.may_read() => {
                    take(&mut map, Values { read: &mut self.draft.read, shapes: &mut Shapes::default() })?;
                }
                "after_unknown" if self.draft.may_read() => take(&mut map, Unknown(&mut self.draft.unknown))?,
                _ => skip(&mut map)?,
            }
        }
        Ok(())
    }
}

struct Importing<'a>(&'a mut bool);

impl<'de> Sink<'de> for Importing<'_> {
    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        *self.0 = true;
        while map.next_key::<String>()?.is_some() {
            skip(&mut map)?;
        }
        Ok(())
    }
}

/// Whether something that says which workspace is read is only known after apply.
struct Unknown<'a>(&'a mut bool);

impl<'de> Sink<'de> for Unknown<'_> {
    fn boolean(self, value: bool) {
        *self.0 |= value;
    }

    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "backend" | "workspace" | "organization" | "config" | "hostname" | "workspaces" | "name" | "prefix"
                | "address" => take(&mut map, Unknown(self.0))?,
                _ => skip(&mut map)?,
            }
        }
        Ok(())
    }
}
