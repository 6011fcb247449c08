//! What was found in a plan, and what follows from all of it together.

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::{ActionCounts, OutputChange, PlanFindings, TaughtRead, Workspace};

use super::KEPT_BYTES_MAX;
use super::address::{Declared, Uses, declared};
use super::values::{Shape, Shapes};
use crate::state::{Config, Kind, Reference, Source, Unresolved, tfe_outputs};

/// What a name costs beside its own length, roughly.
const NAME_BYTES: usize = 64;

/// What was found.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) format: Option<String>,
    pub(super) terraform_version: Option<String>,
    pub(super) applyable: Option<bool>,
    pub(super) complete: Option<bool>,
    pub(super) errored: Option<bool>,
    pub(super) outputs: BTreeMap<String, OutputChange>,
    pub(super) actions: ActionCounts,
    /// Modules of the configuration, by the calls that lead there.
    pub(super) modules: BTreeMap<String, Module>,
    /// Instances of data sources that read workspaces, by address.
    instances: BTreeMap<String, Instance>,
    /// Attributes of each type, by mode and type.
    shapes: BTreeMap<String, Shapes>,
    kept_bytes: usize,
}

/// An instance of a data source, as it is found in one place or several.
#[derive(Default)]
struct Instance {
    sources: Vec<Source>,
    /// It is not known yet what it reads.
    unknown: bool,
}

/// A module of the configuration.
#[derive(Default)]
pub(super) struct Module {
    /// There may be none of it, or several.
    pub(super) repeated: bool,
    /// Something in it refers to a local value.
    pub(super) refers_to_locals: bool,
    /// The outputs that are used, by data source.
    pub(super) uses: BTreeMap<String, Uses>,
    /// The attributes that are arguments of all resources of a type, by mode and type.
    pub(super) given: BTreeMap<String, BTreeSet<String>>,
    /// Its data sources that read workspaces.
    pub(super) data: BTreeMap<String, Constant>,
}

impl Module {
    /// Takes in that an output is used, or any. How many bytes of names that added.
    pub(super) fn use_output(&mut self, resource: &str, output: Option<&str>) -> usize {
        let mut bytes = 0;
        if !self.uses.contains_key(resource) {
            bytes += resource.len();
            self.uses.insert(resource.to_owned(), Some(BTreeSet::new()));
        }
        let Some(uses) = self.uses.get_mut(resource) else { return bytes };
        match (uses.as_mut(), output) {
            (Some(known), Some(output)) if !known.contains(output) => {
                bytes += output.len();
                known.insert(output.to_owned());
            }
            (_, None) => *uses = None,
            _ => {}
        }
        bytes
    }

    /// Takes in all that a part of the module uses.
    pub(super) fn use_outputs(&mut self, resource: &str, uses: Uses) {
        match uses {
            Some(outputs) => {
                self.uses.entry(resource.to_owned()).or_insert_with(|| Some(BTreeSet::new()));
                for output in &outputs {
                    self.use_output(resource, Some(output));
                }
            }
            None => {
                self.use_output(resource, None);
            }
        }
    }
}

/// A data source, as far as the configuration tells what it reads.
pub(super) struct Constant {
    pub(super) kind: Kind,
    pub(super) read: Read,
    /// There may be none of it, or several.
    pub(super) repeated: bool,
    /// What it reads follows from something else.
    pub(super) follows: bool,
}

/// The attributes that say which workspace is read.
#[derive(Default)]
pub(super) struct Read {
    backend: Option<String>,
    workspace: Option<String>,
    organization: Option<String>,
    pub(super) config: Config,
}

impl Read {
    /// Where the attribute of that name is kept.
    pub(super) fn text(&mut self, attribute: &str) -> Option<&mut Option<String>> {
        match attribute {
            "backend" => Some(&mut self.backend),
            "workspace" => Some(&mut self.workspace),
            "organization" => Some(&mut self.organization),
            _ => None,
        }
    }

    fn source(self, kind: Kind) -> Source {
        match kind {
            Kind::RemoteState => self.config.into_source(self.backend.unwrap_or_default(), self.workspace),
            Kind::TfeOutputs => tfe_outputs(self.organization, self.workspace),
        }
    }
}

/// An instance of a resource or data source while it is read.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) address: Option<String>,
    pub(super) mode: Option<String>,
    pub(super) resource_type: Option<String>,
    pub(super) read: Read,
    pub(super) unknown: bool,
}

impl Draft {
    /// Whether it may be a data source that reads a workspace, as far as is known.
    pub(super) fn may_read(&self) -> bool {
        self.resource_type.as_ref().is_none_or(|it| Kind::of(it.as_bytes()).is_some())
    }

    fn kind(&self) -> Option<Kind> {
        Kind::of(self.resource_type.as_ref()?.as_bytes()).filter(|_| self.mode.as_deref() == Some("data"))
    }
}

/// How attributes of a type are found again.
pub(super) fn type_key(mode: Option<&str>, resource_type: Option<&str>) -> String {
    format!("{}.{}", mode.unwrap_or_default(), resource_type.unwrap_or_default())
}

impl Gathered {
    /// Makes room for a name, if there is any left.
    pub(super) fn keep<E: serde::de::Error>(&mut self, name_bytes: usize) -> Result<(), E> {
        self.kept_bytes += name_bytes + NAME_BYTES;
        if self.is_over() { Err(E::custom("too many names")) } else { Ok(()) }
    }

    /// Whether there were more names than are kept.
    pub(super) fn is_over(&self) -> bool {
        self.kept_bytes > KEPT_BYTES_MAX
    }

    /// Takes in an instance, if it reads a workspace.
    pub(super) fn data_source<E: serde::de::Error>(&mut self, draft: Draft) -> Result<(), E> {
        let (Some(kind), Some(address)) = (draft.kind(), draft.address) else { return Ok(()) };
        self.keep::<E>(2 * address.len())?;
        let instance = self.instances.entry(address).or_default();
        instance.unknown |= draft.unknown;
        let source = draft.read.source(kind);
        if !draft.unknown && !instance.sources.contains(&source) {
            instance.sources.push(source);
        }
        Ok(())
    }

    /// Takes in what the attributes of an instance look like.
    pub(super) fn shapes<E: serde::de::Error>(&mut self, draft: &Draft, shapes: Shapes) -> Result<(), E> {
        if draft.kind().is_some() {
            return Ok(());
        }
        let key = type_key(draft.mode.as_deref(), draft.resource_type.as_deref());
        if !self.shapes.contains_key(&key) {
            self.keep::<E>(key.len())?;
        }
        let known = self.shapes.entry(key).or_default();
        let mut new_bytes = Vec::new();
        for (attribute, shape) in shapes {
            if let Some(known) = known.get_mut(&attribute) {
                *known = (*known).max(shape);
            } else {
                new_bytes.push(attribute.len());
                known.insert(attribute, shape);
            }
        }
        new_bytes.into_iter().try_for_each(|bytes| self.keep::<E>(bytes))
    }

    /// What all of it says of a plan of `workspace`.
    pub(super) fn finish(mut self, workspace: &Workspace) -> PlanFindings {
        let mut reads: BTreeMap<Workspace, TaughtRead> = BTreeMap::new();
        let mut unresolved = BTreeSet::new();
        for (address, declared, instance) in self.data_sources() {
            if instance.unknown || instance.sources.is_empty() {
                unresolved.insert(address);
                continue;
            }
            let uses = self.uses(&declared);
            for source in instance.sources {
                let reference = Reference { address: address.clone(), source, observed: BTreeMap::new() };
                match reference.resolve(&workspace.host, &workspace.organization) {
                    Ok(producer) => {
                        let read = TaughtRead { addresses: [address.clone()].into(), uses: uses.clone() };
                        reads.entry(producer).and_modify(|known| known.add(read.clone())).or_insert(read);
                    }
                    Err(Unresolved::OtherBackend(_)) => {}
                    Err(_) => drop(unresolved.insert(address.clone())),
                }
            }
        }
        PlanFindings {
            terraform_version: self.terraform_version.unwrap_or_default(),
            outputs: self.outputs,
            actions: self.actions,
            applyable: self.applyable,
            complete: self.complete,
            errored: self.errored.unwrap_or_default(),
            reads,
            unresolved,
        }
    }

    /// The instances of data sources that the configuration has.
    fn data_sources(&mut self) -> Vec<(String, Declared, Instance)> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for (address, instance) in std::mem::take(&mut self.instances) {
            let declared = declared(&address);
            seen.insert(declared.clone());
            // What only a state still shows is not read any more.
            if self.is_declared(&declared) {
                found.push((address, declared, instance));
            }
        }
        found.extend(self.unseen(&seen));
        found
    }

    /// Whether the configuration has that data source. Of a plan without configuration that is not known.
    fn is_declared(&self, declared: &Declared) -> bool {
        let module = self.modules.get(&declared.module);
        self.modules.is_empty() || module.is_some_and(|module| module.data.contains_key(&declared.resource))
    }

    /// Data sources of which no instance was found, where the configuration says that there is one.
    fn unseen(&mut self, seen: &BTreeSet<Declared>) -> Vec<(String, Declared, Instance)> {
        let mut unseen = Vec::new();
        for (module, it) in &mut self.modules {
            let repeated = it.repeated;
            for (resource, constant) in std::mem::take(&mut it.data) {
                let declared = Declared { module: module.clone(), resource };
                if seen.contains(&declared) || repeated || constant.repeated {
                    continue;
                }
                let sources = if constant.follows { Vec::new() } else { vec![constant.read.source(constant.kind)] };
                let address = declared.address();
                unseen.push((address, declared, Instance { sources, unknown: false }));
            }
        }
        unseen
    }

    /// The outputs that are used of what a data source reads.
    fn uses(&self, declared: &Declared) -> Uses {
        let module = self.modules.get(&declared.module)?;
        if module.refers_to_locals || self.may_hide_blocks(module) {
            return None;
        }
        module.uses.get(&declared.resource).cloned().unwrap_or_else(|| Some(BTreeSet::new()))
    }

    /// Whether a resource of the module has, or could have, nested blocks: some may be dynamic, of which the
    /// configuration says nothing.
    fn may_hide_blocks(&self, module: &Module) -> bool {
        module.given.iter().any(|(key, given)| {
            let shapes = self.shapes.get(key).into_iter().flatten();
            shapes.into_iter().any(|(attribute, shape)| *shape == Shape::Blocks && !given.contains(attribute))
        })
    }
}
