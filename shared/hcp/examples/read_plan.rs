//! Reads a plan's JSON: `read_plan FILE`, or a generated one of so many megabytes: `read_plan --generate MEGABYTES`.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::time::Instant;

use sluice_hcp::plan_json;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let workspace = "app.terraform.io/acme/app".parse()?;
    let start = Instant::now();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let findings = match words[..] {
        ["--generate", megabytes] => plan_json::read(Generated::new(megabytes.parse::<u64>()? * 1_000_000), &workspace),
        [path] => plan_json::read(File::open(path)?, &workspace),
        _ => return Err("usage: read_plan FILE | read_plan --generate MEGABYTES".into()),
    }?;
    let counts = findings.actions;
    println!(
        "{} reads, {} outputs change, {} resources, {} ms, peak {} KiB",
        findings.reads.len(),
        findings.outputs.len(),
        counts.no_op + counts.update,
        start.elapsed().as_millis(),
        peak_kib().as_deref().unwrap_or("?")
    );
    Ok(())
}

/// A plan that is made while it is read: three quarters values of resources, a quarter their changes.
struct Generated {
    left: u64,
    part: Part,
    count: u64,
    text: Vec<u8>,
    at: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Begin,
    Values,
    Changes,
    Over,
}

const HEAD: &str =
    r#"{"format_version":"1.2","terraform_version":"1.11.4","planned_values":{"root_module":{"resources":["#;
const TAIL: &str = r#"{"address":"t.last","mode":"managed","type":"t","change":{"actions":["update"]}}],
"output_changes":{"id":{"actions":["update"],"before":"1","after_unknown":true}},
"prior_state":{"values":{"root_module":{"resources":[{"address":"data.terraform_remote_state.net","mode":"data",
"type":"terraform_remote_state","values":{"backend":"remote","config":{"organization":"acme","workspaces":{"name":"net"}}}}]}}},
"configuration":{"root_module":{"resources":[{"address":"data.terraform_remote_state.net","mode":"data",
"type":"terraform_remote_state","expressions":{}}],"outputs":{"id":{"expression":{"references":[
"data.terraform_remote_state.net.outputs.id","data.terraform_remote_state.net.outputs","data.terraform_remote_state.net"]}}}}},
"applyable":true,"complete":true,"errored":false}"#;

impl Generated {
    fn new(bytes: u64) -> Self {
        Self { left: bytes, part: Part::Begin, count: 0, text: Vec::new(), at: 0 }
    }

    fn next(&mut self) {
        self.count += 1;
        let number = self.count;
        let policy = "{\\\"Effect\\\":\\\"Allow\\\",\\\"Action\\\":\\\"s3:GetObject\\\"},".repeat(12);
        let values = format!(
            r#"{{"name":"bucket-{number}","arn":"arn:aws:s3:::bucket-{number}","tags":{{"team":"a","cost":"b"}},
            "policy":"{policy}","size":{number},"rules":["10.0.0.0/8","10.1.0.0/16"],"versioning":[{{"enabled":true}}]}}"#
        );
        let head =
            format!(r#""address":"aws_s3_bucket.b[{number}]","mode":"managed","type":"aws_s3_bucket","name":"b""#);
        let last = self.left == 0;
        let text = match self.part {
            Part::Begin => HEAD.to_owned(),
            Part::Values => {
                format!("{{{head},\"values\":{values}}}{}", if last { "]}},\"resource_changes\":[" } else { "," })
            }
            Part::Changes => {
                let change =
                    format!(r#"{{"actions":["no-op"],"before":{values},"after":{values},"after_unknown":{{}}}}"#);
                format!("{{{head},\"change\":{change}}},{}", if last { TAIL } else { "" })
            }
            Part::Over => String::new(),
        };
        let share = if self.part == Part::Changes { 4 } else { 1 };
        self.left = self.left.saturating_sub(text.len() as u64 * share);
        self.part = match (self.part, last) {
            (Part::Begin, _) => Part::Values,
            (Part::Values, true) => {
                self.left = self.count * 700;
                Part::Changes
            }
            (Part::Changes, true) => Part::Over,
            (part, _) => part,
        };
        (self.text, self.at) = (text.into_bytes(), 0);
    }
}

impl Read for Generated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.text.len() && self.part != Part::Over {
            self.next();
        }
        let size = (self.text.len() - self.at).min(buffer.len());
        buffer[..size].copy_from_slice(&self.text[self.at..self.at + size]);
        self.at += size;
        Ok(size)
    }
}

/// The most memory this process has held, where the system tells.
fn peak_kib() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next().map(str::to_owned)
}
