//! The little of the API's answers that is needed, read leniently.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, SeqAccess, Visitor};
use sluice_domain::ports::{TerraformError, WorkspaceFound};
use sluice_domain::{Autonomy, Standing, Timestamp};
use sluice_hcp::wire::{parse_timestamp, standing_of_status};

use crate::failure::bad_answer;

/// A JSON:API document.
#[derive(Debug, Deserialize)]
pub(crate) struct Document<T> {
    pub(crate) data: T,
}

/// A resource with its attributes.
#[derive(Debug, Deserialize)]
pub(crate) struct Resource<A, R = IgnoredAny> {
    pub(crate) id: String,
    pub(crate) attributes: A,
    pub(crate) relationships: Option<R>,
}

/// A state version.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct StateVersionAttributes {
    pub(crate) serial: u64,
    pub(crate) created_at: String,
    pub(crate) status: Option<String>,
    pub(crate) resources_processed: Option<bool>,
    #[serde(default)]
    pub(crate) resources: Listed,
    pub(crate) hosted_state_download_url: Option<String>,
    pub(crate) encrypted_state_download_url: Option<String>,
}

/// What a state version belongs to.
#[derive(Debug, Deserialize)]
pub(crate) struct StateVersionRelationships {
    pub(crate) run: Option<Relationship>,
}

/// What a relationship points to, if anything.
#[derive(Debug, Deserialize)]
pub(crate) struct Relationship {
    pub(crate) data: Option<Identifier>,
}

/// An id alone.
#[derive(Debug, Deserialize)]
pub(crate) struct Identifier {
    pub(crate) id: String,
}

/// A workspace.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct WorkspaceAttributes {
    pub(crate) name: String,
    /// Missing or null where there are none. Anything but a list of words is an error: tags say what is forbidden, too.
    pub(crate) tag_names: Option<Vec<String>>,
}

/// Something in a list, which is read on if one thing in it cannot be.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Maybe<T> {
    It(T),
    Other(IgnoredAny),
}

impl<T> Maybe<T> {
    pub(crate) fn it(self) -> Option<T> {
        match self {
            Self::It(it) => Some(it),
            Self::Other(_) => None,
        }
    }
}

/// A run.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct RunAttributes {
    pub(crate) created_at: String,
    pub(crate) status: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) actions: Option<Actions>,
    /// The resources it is limited to.
    pub(crate) target_addrs: Option<Vec<IgnoredAny>>,
    pub(crate) refresh_only: Option<bool>,
    /// When it reached which status.
    pub(crate) status_timestamps: Option<BTreeMap<String, Option<String>>>,
}

/// What can be done with a run now.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Actions {
    pub(crate) is_confirmable: Option<bool>,
}

/// What a state version's `resources` says about data sources that read other workspaces. There may be very many
/// resources, so none is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Listed {
    /// There is no list.
    #[default]
    Unknown,
    /// A list of nothing.
    Nothing,
    /// Some resources, and none reads.
    NoReader,
    /// At least one reads.
    Reader,
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(ListedVisitor)
    }
}

/// Parts of the types of data sources that read; HCP Terraform puts `data.` before them.
const READERS: [&str; 2] = ["terraform_remote_state", "tfe_outputs"];

struct ListedVisitor;

impl<'de> Visitor<'de> for ListedVisitor {
    type Value = Listed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of resources")
    }

    fn visit_none<E: de::Error>(self) -> Result<Listed, E> {
        Ok(Listed::Unknown)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Listed, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Listed, A::Error> {
        #[derive(Deserialize)]
        struct Entry {
            #[serde(rename = "type")]
            kind: Option<String>,
        }
        let mut listed = Listed::Nothing;
        while let Some(Entry { kind }) = list.next_element()? {
            let reads = kind.is_none_or(|kind| READERS.iter().any(|reader| kind.contains(reader)));
            listed = if reads || listed == Listed::Reader { Listed::Reader } else { Listed::NoReader };
        }
        Ok(listed)
    }
}

/// An id or name that must be one.
pub(crate) fn parsed<T: FromStr>(action: &'static str, what: &'static str, text: &str) -> Result<T, TerraformError> {
    text.parse().map_err(|_| bad_answer(action, format!("{what} is not one")))
}

/// A point in time that must be one.
pub(crate) fn timestamp(action: &'static str, text: &str) -> Result<Timestamp, TerraformError> {
    parse_timestamp(text).map_err(|_| bad_answer(action, "a time is not one"))
}

/// A workspace as its own endpoints describe it, by id or by name.
pub(crate) fn workspace_found(
    action: &'static str,
    workspace: &Resource<WorkspaceAttributes>,
) -> Result<WorkspaceFound, TerraformError> {
    let id = parsed(action, "the workspace's id", &workspace.id)?;
    Ok(WorkspaceFound { id, name: workspace.attributes.name.clone(), tagged: workspace.attributes.tagged() })
}

impl WorkspaceAttributes {
    /// What its tags allow. Only plain tags count, which the workspace itself lists by name: tags of a key and a value,
    /// also those that it has from its project, are asked for elsewhere, and are not.
    pub(crate) fn tagged(&self) -> Option<Autonomy> {
        Autonomy::of_tags(self.tag_names.iter().flatten().map(String::as_str))
    }
}

impl RunAttributes {
    /// Where it stands; None if its status is new to Sluice.
    pub(crate) fn standing(&self) -> Option<Standing> {
        let standing = standing_of_status(self.status.as_deref()?)?;
        let confirmable = self.actions.as_ref().is_some_and(|actions| actions.is_confirmable == Some(true));
        // Some statuses are passed through by runs that apply by themselves, and waited in by others.
        let waits = standing == Standing::Planning && confirmable;
        Some(if waits { Standing::AwaitingPerson } else { standing })
    }

    /// Whether it takes in everything.
    pub(crate) fn is_whole(&self) -> bool {
        let targeted = self.target_addrs.as_ref().is_some_and(|targets| !targets.is_empty());
        !targeted && self.refresh_only != Some(true)
    }

    /// When it reached its present status, as far as is told.
    pub(crate) fn latest(&self) -> Option<Timestamp> {
        let reached = self.status_timestamps.iter().flatten().filter_map(|(_, at)| at.as_deref());
        reached.filter_map(|at| parse_timestamp(at).ok()).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(json: &str) -> Option<Listed> {
        #[derive(Deserialize)]
        struct Attributes {
            #[serde(default)]
            resources: Listed,
        }
        serde_json::from_str::<Attributes>(json).ok().map(|attributes| attributes.resources)
    }

    #[test]
    fn the_list_of_resources_tells_whether_any_reads_another_workspace() {
        for (json, expect) in [
            ("{}", Some(Listed::Unknown)),
            (r#"{"resources":null}"#, Some(Listed::Unknown)),
            (r#"{"resources":[]}"#, Some(Listed::Nothing)),
            (r#"{"resources":[{"name":"a","type":"aws_vpc","count":1}]}"#, Some(Listed::NoReader)),
            (
                r#"{"resources":[{"type":"data.terraform_remote_state"},{"type":"aws_vpc","module":"root"}]}"#,
                Some(Listed::Reader),
            ),
            (r#"{"resources":[{"type":"data.tfe_outputs"}]}"#, Some(Listed::Reader)),
            (r#"{"resources":[{"name":"without a type"}]}"#, Some(Listed::Reader)),
            (r#"{"resources":"none"}"#, None),
        ] {
            assert_eq!(listed(json), expect, "{json}");
        }
    }

    #[test]
    fn plain_tags_say_what_is_allowed_and_whatever_else_stands_in_their_place_is_refused() {
        let tagged = |json: &str| serde_json::from_str::<WorkspaceAttributes>(json).ok().map(|it| it.tagged());
        for (json, expect) in [
            (r#"{"name":"a"}"#, Some(None)),
            (r#"{"name":"a","tag-names":null}"#, Some(None)),
            (r#"{"name":"a","tag-names":["prod","sluice:plan"]}"#, Some(Some(Autonomy::Plan))),
            (r#"{"name":"a","tag-names":["sluice:run","sluice:observe"]}"#, Some(Some(Autonomy::Observe))),
            (r#"{"name":"a","tag-names":["sluice"],"effective-tag-bindings":["sluice:run"]}"#, Some(None)),
            (r#"{"name":"a","tag-names":{"sluice":"observe"}}"#, None),
        ] {
            assert_eq!(tagged(json), expect, "{json}");
        }
    }

    #[test]
    fn a_state_version_is_read_with_the_least_it_may_have() {
        let json = r#"{"data":{"id":"sv-1","type":"state-versions","attributes":{"serial":9,"extra":{"a":[1]},
            "created-at":"2026-11-20T10:00:00.123Z"},"relationships":{"run":{"data":null},"workspace":{}}}}"#;
        let found: Document<Resource<StateVersionAttributes, StateVersionRelationships>> =
            serde_json::from_str(json).unwrap();
        assert_eq!((found.data.id.as_str(), found.data.attributes.serial), ("sv-1", 9));
        assert!(found.data.relationships.unwrap().run.unwrap().data.is_none());
    }
}
