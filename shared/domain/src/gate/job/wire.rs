//! A job as a person writes it down.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{JobSpec, PodSettings, Program, syntax};
use crate::gate::FieldFault;

/// How long a job may take to start unless told otherwise, in seconds: a cold node takes minutes.
const START_SECONDS: u32 = 300;
/// Longest that may be waited for it, in seconds: a run task ends before the hour does.
const START_SECONDS_MAX: u32 = 3_000;
/// Most bytes of all arguments: the request has to fit beside them.
const ARGUMENT_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of `JSON_PAYLOAD`: Linux takes no variable of more than 128 KiB, and an image would not be started.
const PAYLOAD_BYTES_MAX: usize = 120 * 1024;
/// Longest command, in bytes.
const COMMAND_BYTES_MAX: usize = 32 * 1024;

/// A job as it is written down, before it is looked at closely.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of JobSpec, as written")]
pub struct JobWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    #[serde(default)]
    pub deployer_token: bool,
    #[serde(default)]
    pub ssh_key: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_seconds: Option<u32>,
}

impl JobWire {
    /// Reads it. What is wrong is told field by field, as `settings.EPHEMERAL_CPU_LIMIT`.
    pub fn read(&self) -> Result<JobSpec, Vec<FieldFault>> {
        let mut faults = Faults(Vec::new());
        let program = self.program(&mut faults);
        self.arguments(&mut faults);
        for fault in PodSettings::read(&self.settings).err().into_iter().flatten() {
            faults.add(format!("settings.{}", fault.field), fault.is);
        }
        let start_seconds = self.start_seconds.unwrap_or(START_SECONDS);
        if start_seconds == 0 || start_seconds > START_SECONDS_MAX {
            faults.add("start_seconds", format!("is {start_seconds}, and has to be from 1 to {START_SECONDS_MAX}"));
        }
        match program {
            Some(program) if faults.0.is_empty() => Ok(JobSpec {
                program,
                arguments: self.arguments.clone(),
                settings: self.settings.clone(),
                deployer_token: self.deployer_token,
                ssh_key: self.ssh_key,
                start_seconds,
            }),
            _ => Err(faults.0),
        }
    }

    fn program(&self, faults: &mut Faults) -> Option<Program> {
        let Some(service) = &self.service else {
            for (field, given) in [("command", &self.command), ("container", &self.container)] {
                if given.is_some() {
                    faults.add(field, "means nothing without a service: an image knows by itself what to do");
                }
            }
            if self.image.as_deref().is_some_and(|image| !syntax::image(image)) {
                faults.add("image", "is no reference to an image, as registry.example.com/team/check:1.2");
            }
            return Some(Program::Image { image: self.image.clone() });
        };
        if self.image.is_some() {
            faults.add("image", "is given beside a service: a job runs one of them");
        }
        if self.settings.contains_key("ExecutorEphemeralImage") {
            faults.add("settings.ExecutorEphemeralImage", "is given beside a service: a job runs one of them");
        }
        if !syntax::subdomain(service) {
            faults.add("service", "is no name of a Deployment");
        }
        if self.container.as_deref().is_some_and(|container| !syntax::label(container)) {
            faults.add("container", "is no name of a container");
        }
        match &self.command {
            None => faults.add("command", "is missing: say what is to be run in a copy of the service"),
            Some(command) if command.trim().is_empty() => faults.add("command", "is empty"),
            Some(command) if command.len() > COMMAND_BYTES_MAX => {
                faults.add("command", format!("has {} bytes, and may have {COMMAND_BYTES_MAX}", command.len()));
            }
            Some(command) if command.contains('\0') => faults.add("command", "has a character that no shell takes"),
            Some(_) => {}
        }
        let command = self.command.clone()?;
        Some(Program::Service { service: service.clone(), container: self.container.clone(), command })
    }

    fn arguments(&self, faults: &mut Faults) {
        let bytes: usize = self.arguments.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > ARGUMENT_BYTES_MAX {
            faults.add("arguments", format!("have {bytes} bytes, and may have {ARGUMENT_BYTES_MAX}"));
        } else if self.service.is_none() {
            // Every quote, line end and control character in them is longer as JSON.
            let json = serde_json::to_vec(&self.arguments).map_or(0, |json| json.len());
            let payload = json.div_ceil(3) * 4;
            if payload > PAYLOAD_BYTES_MAX {
                let is = format!("have {payload} bytes as JSON_PAYLOAD, and may have {PAYLOAD_BYTES_MAX}");
                faults.add("arguments", is);
            }
        }
        for (name, value) in &self.arguments {
            let of_service = self.service.is_some();
            let is = match name.as_str() {
                "" if !of_service => "has no name",
                name if of_service && !syntax::shell_variable(name) => "is no name of a variable",
                name if of_service && syntax::ours(name) => "is a variable that every job has from Sluice",
                name if of_service && syntax::system(name) => "is a variable that decides which programs run",
                _ if of_service && value.contains('\0') => "has a character that no variable can have",
                _ => continue,
            };
            let name: String = name.chars().take(64).collect();
            faults.add(format!("arguments.{name}"), is);
        }
    }
}

struct Faults(Vec<FieldFault>);

impl Faults {
    fn add(&mut self, field: impl Into<String>, is: impl Into<String>) {
        self.0.push(FieldFault { field: field.into(), is: is.into() });
    }
}
