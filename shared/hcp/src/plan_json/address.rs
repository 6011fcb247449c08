//! Addresses and references, as Terraform writes them.

use std::collections::BTreeSet;

/// Where the configuration declares something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Declared {
    /// The module: names of the calls that lead there, with dots between them; empty at the root.
    pub(super) module: String,
    /// The resource or data source, as it is called within the module.
    pub(super) resource: String,
}

impl Declared {
    /// Its address, if there is one instance of it and of its module.
    pub(super) fn address(&self) -> String {
        let mut address = String::new();
        for call in self.module.split('.').filter(|call| !call.is_empty()) {
            address.extend(["module.", call, "."]);
        }
        address + &self.resource
    }
}

/// Where the instance of that address is declared: `module.a["x"].data.t.n[0]` is `data.t.n` of the module `a`.
pub(super) fn declared(address: &str) -> Declared {
    let mut names = without_keys(address);
    let mut module = Vec::new();
    while names.first().is_some_and(|first| first == "module") && names.len() > 2 {
        module.push(names.remove(1));
        names.remove(0);
    }
    Declared { module: module.join("."), resource: names.join(".") }
}

/// The parts of an address between its dots, less the keys of instances.
fn without_keys(address: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut rest = address;
    while let Some(letter) = rest.chars().next() {
        match letter {
            '[' => {
                rest = after_key(rest).unwrap_or("");
                continue;
            }
            '.' => names.push(String::new()),
            letter => names.extend_last(letter),
        }
        rest = &rest[letter.len_utf8()..];
    }
    names
}

trait ExtendLast {
    fn extend_last(&mut self, letter: char);
}

impl ExtendLast for Vec<String> {
    fn extend_last(&mut self, letter: char) {
        if let Some(last) = self.last_mut() {
            last.push(letter);
        }
    }
}

/// What follows a key that `text` begins with: `["a]"].b` is followed by `.b`.
fn after_key(text: &str) -> Option<&str> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return text.get(at + 1..),
            _ => {}
        }
    }
    None
}

/// What a reference reaches, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reached<'a> {
    /// A local value: nobody knows what that refers to.
    Local,
    /// A data source that reads a workspace.
    Data {
        /// As it is called within the module: `data.terraform_remote_state.net`.
        resource: &'a str,
        /// The output that is used; None if the reference may reach any of them.
        output: Option<&'a str>,
    },
    /// Something else.
    Other,
}

const REMOTE_STATE: &str = "data.terraform_remote_state.";
const TFE_OUTPUTS: &str = "data.tfe_outputs.";

/// What a reference reaches, given in full.
pub(super) fn reached(reference: &str) -> Reached<'_> {
    if reference.starts_with("local.") {
        return Reached::Local;
    }
    let (kind, copies): (&str, &[&str]) = if reference.starts_with(REMOTE_STATE) {
        (REMOTE_STATE, &[".outputs"])
    } else if reference.starts_with(TFE_OUTPUTS) {
        (TFE_OUTPUTS, &[".values", ".nonsensitive_values"])
    } else {
        return Reached::Other;
    };
    let end = reference[kind.len()..].find(['.', '[']).map_or(reference.len(), |at| kind.len() + at);
    let (resource, rest) = reference.split_at(end);
    let rest = if rest.starts_with('[') { after_key(rest).unwrap_or("") } else { rest };
    let output = copies.iter().find_map(|copies| member(rest.strip_prefix(copies)?));
    Reached::Data { resource, output }
}

/// The member that a traversal begins with: `.a`, `.a.b`, `["a"]`, `["a"][0]`.
fn member(traversal: &str) -> Option<&str> {
    if let Some(rest) = traversal.strip_prefix('.') {
        return Some(rest.split(['.', '[']).next().unwrap_or(rest)).filter(|name| !name.is_empty());
    }
    let rest = traversal.strip_prefix("[\"")?;
    let name = &rest[..rest.find('"')?];
    // Written with escapes, it is not the name itself.
    (!name.contains(['\\', '$', '%']) && !name.is_empty()).then_some(name)
}

/// The references of one expression. Terraform lists each in full and then each of its prefixes, one behind the other.
#[derive(Default)]
pub(super) struct References {
    previous: String,
}

impl References {
    /// Takes the next element of the list. Whether a reference begins with it.
    pub(super) fn begins(&mut self, element: &str) -> bool {
        let rest = self.previous.strip_prefix(element);
        let shorter = rest.is_some_and(|rest| rest.starts_with(['.', '[']));
        element.clone_into(&mut self.previous);
        !shorter
    }
}

/// Outputs that are used; None if any may be.
pub(super) type Uses = Option<BTreeSet<String>>;
