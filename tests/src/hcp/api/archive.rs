//! State files: on the API's host, and on the archivist beside it.

use sha2::{Digest, Sha256};

use crate::hcp::model::{StateVersion, World};
use crate::hcp::options::Downloads;

use super::reply::Reply;

/// How long the hash in an object's key is.
const HASH: usize = 64;

/// The secret part of a pre-signed URL: a hash, and what it is the hash of.
fn object_key(state_version: &str) -> String {
    let hash = hex::encode(Sha256::digest(format!("pre-signed {state_version}")));
    format!("{hash}{state_version}")
}

impl World {
    /// `hosted-state-download-url`.
    pub(super) fn download_url(&self, version: &StateVersion) -> String {
        let id = &version.id;
        match self.options.downloads {
            Downloads::RelativePath => format!("/api/v2/state-versions/{id}/download"),
            Downloads::SameHost | Downloads::Redirect => {
                format!("{}/api/state-versions/{id}/hosted_state", self.address)
            }
            Downloads::Archivist => self.object_url(id),
        }
    }

    fn object_url(&self, state_version: &str) -> String {
        format!("{}/v1/object/{}", self.archivist, object_key(state_version))
    }

    pub(super) fn download_state(&self, id: &str) -> Reply {
        match self.state_versions.get(id) {
            None => Reply::not_found(),
            Some(_) if self.options.downloads == Downloads::Redirect => {
                Reply::empty(302).header("location", self.object_url(id))
            }
            Some(version) => file(version),
        }
    }

    pub(super) fn download_object(&self, key: &str) -> Reply {
        if let Some(content) = self.tasks.object(key) {
            return self.download_content(content);
        }
        let version = key.get(HASH..).and_then(|id| self.state_versions.get(id));
        version.filter(|version| object_key(&version.id) == key).map_or_else(Reply::not_found, file)
    }
}

fn file(version: &StateVersion) -> Reply {
    Reply { body: version.body.clone(), content_type: "application/json", ..Reply::empty(200) }
}
