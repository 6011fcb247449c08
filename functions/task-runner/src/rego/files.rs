//! Policies from where people keep them: a directory, or an OPA bundle.
//!
//! Functions that only evaluate call none of this, and the linker leaves it out of them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use regorus::Value;
use serde_json::Map;

use super::policy::Policy;

/// The most files and directories that are looked at.
const ENTRIES_MAX: usize = 2000;
/// The most bytes that are read, unpacked.
const BYTES_MAX: u64 = 16 << 20;
/// The deepest that directories are followed.
const DEPTH_MAX: usize = 32;

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file or directory could not be read.
    #[error("could not read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The bundle is no gzipped archive.
    #[error("the bundle is not a .tar.gz file that can be read")]
    NotABundle(#[source] io::Error),
    /// A path leads out of the bundle.
    #[error("the bundle has the path {path}, which leads out of it")]
    Outside {
        /// The path.
        path: String,
    },
    /// There is too much.
    #[error("there are more than {ENTRIES_MAX} files, {BYTES_MAX} bytes or {DEPTH_MAX} directories inside each other")]
    TooLarge,
    /// A module or data file is not text.
    #[error("{path} is not UTF-8 text")]
    NotText {
        /// Which.
        path: String,
    },
    /// A data file does not say what it should.
    #[error("{path}: {wrong}")]
    Data {
        /// Which.
        path: String,
        /// What is wrong.
        wrong: String,
    },
}

/// The modules and data documents below a directory, by OPA's rules for bundles: every `.rego` file, and `data.json` or
/// `data.yaml` at the place in `data` that their directory names. Symbolic links are not followed.
pub fn from_directory(root: &Path) -> Result<Policy, FilesError> {
    let mut gathered = Gathered::default();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let unreadable = |source| FilesError::Unreadable { path: directory.clone(), source };
        let entries = fs::read_dir(&directory).map_err(unreadable)?;
        for entry in entries {
            let entry = entry.map_err(unreadable)?;
            let kind = entry.file_type().map_err(unreadable)?;
            let path = entry.path();
            let name = components(path.strip_prefix(root).unwrap_or(&path))?;
            gathered.count(&name)?;
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_file() && wanted(&name) {
                let unreadable = |source| FilesError::Unreadable { path: path.clone(), source };
                let file = File::open(&path).map_err(unreadable)?;
                gathered.add(&name, file, |source| FilesError::Unreadable { path: path.clone(), source })?;
            }
        }
    }
    Ok(gathered.policy)
}

/// The modules and data documents of an OPA bundle (`.tar.gz`). Its manifest and signatures are not looked at.
pub fn from_bundle(bundle: impl Read) -> Result<Policy, FilesError> {
    // What is skipped is unpacked too: a bundle that is small only when packed is stopped here.
    let unpacked = GzDecoder::new(bundle).take(2 * BYTES_MAX + 1);
    let mut archive = tar::Archive::new(unpacked);
    let gathered = unpack(&mut archive);
    if archive.into_inner().limit() == 0 { Err(FilesError::TooLarge) } else { gathered }
}

fn unpack(archive: &mut tar::Archive<impl Read>) -> Result<Policy, FilesError> {
    let mut gathered = Gathered::default();
    for entry in archive.entries().map_err(FilesError::NotABundle)? {
        let entry = entry.map_err(FilesError::NotABundle)?;
        let path = entry.path().map_err(FilesError::NotABundle)?.into_owned();
        let name = components(&path)?;
        gathered.count(&name)?;
        if entry.header().entry_type().is_file() && wanted(&name) {
            gathered.add(&name, entry, FilesError::NotABundle)?;
        }
    }
    Ok(gathered.policy)
}

/// A path's names, wherever it starts.
fn components(path: &Path) -> Result<Vec<String>, FilesError> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(FilesError::Outside { path: path.display().to_string() });
            }
        }
    }
    Ok(names)
}

fn is(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

fn wanted(name: &[String]) -> bool {
    let Some(file) = name.last() else { return false };
    let module = is(file, "rego") && !file.ends_with("_test.rego");
    module || matches!(file.as_str(), "data.json" | "data.yaml" | "data.yml")
}

#[derive(Default)]
struct Gathered {
    policy: Policy,
    entries: usize,
    bytes: u64,
    placed: BTreeSet<Vec<String>>,
}

impl Gathered {
    fn count(&mut self, name: &[String]) -> Result<(), FilesError> {
        self.entries += 1;
        if self.entries > ENTRIES_MAX || name.len() > DEPTH_MAX { Err(FilesError::TooLarge) } else { Ok(()) }
    }

    fn add(
        &mut self,
        name: &[String],
        from: impl Read,
        unreadable: impl FnOnce(io::Error) -> FilesError,
    ) -> Result<(), FilesError> {
        let mut read = Vec::new();
        let left = BYTES_MAX - self.bytes;
        from.take(left + 1).read_to_end(&mut read).map_err(unreadable)?;
        self.bytes += read.len() as u64;
        if self.bytes > BYTES_MAX {
            return Err(FilesError::TooLarge);
        }
        let path = name.join("/");
        let text = String::from_utf8(read).map_err(|_| FilesError::NotText { path: path.clone() })?;
        if is(&path, "rego") {
            self.policy.modules.insert(path, text);
            return Ok(());
        }
        let place = name.split_last().map_or(&[][..], |(_, directories)| directories);
        let data = data(&path, &text)?;
        self.place(place, data).map_err(|wrong| FilesError::Data { path, wrong: wrong.to_owned() })
    }

    /// Puts a document where its directory says. Documents are merged where both are objects.
    fn place(&mut self, at: &[String], data: Map<String, serde_json::Value>) -> Result<(), &'static str> {
        if !self.placed.insert(at.to_vec()) {
            return Err("its directory has another data file");
        }
        let nested = at
            .iter()
            .rev()
            .fold(data, |inside, name| Map::from_iter([(name.clone(), serde_json::Value::Object(inside))]));
        merge(&mut self.policy.data, nested)
    }
}

fn data(path: &str, text: &str) -> Result<Map<String, serde_json::Value>, FilesError> {
    let wrong = |wrong: String| FilesError::Data { path: path.to_owned(), wrong };
    let value = if is(path, "json") {
        serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?
    } else {
        let value = Value::from_yaml_str(text).map_err(|error| wrong(error.to_string()))?;
        serde_json::to_value(value).map_err(|error| wrong(error.to_string()))?
    };
    match value {
        serde_json::Value::Object(data) => Ok(data),
        _ => Err(wrong("it must be an object".to_owned())),
    }
}

fn merge(into: &mut Map<String, serde_json::Value>, from: Map<String, serde_json::Value>) -> Result<(), &'static str> {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (None, value) => drop(into.insert(name, value)),
            (Some(serde_json::Value::Object(into)), serde_json::Value::Object(from)) => merge(into, from)?,
            (Some(_), _) => return Err("another data file says something else at the same place"),
        }
    }
    Ok(())
}
