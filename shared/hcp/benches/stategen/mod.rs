//! Generates state files as Terraform writes them, the same bytes for the same size every time.
//!
//! Two-space indentation, HTML-safe escapes, `outputs` before `resources`; short and long strings, documents within
//! strings, and decoys: the words the scanner looks for in places where they mean nothing.

mod pretty;

use std::io::{self, Write};

use pretty::Pretty;

/// What a generated state holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Truth {
    /// Instances of data sources that read another workspace.
    pub references: usize,
    /// Root outputs.
    pub outputs: usize,
    /// Bytes written.
    pub bytes: usize,
}

/// Writes a state of at least `bytes` bytes, and not much more.
pub fn write(bytes: usize, out: &mut impl Write) -> io::Result<Truth> {
    let mut generator = Generator { random: 0x9e37_79b9_7f4a_7c15, truth: Truth::default(), to: Pretty::default() };
    generator.head(40);
    let mut serial = 0;
    while generator.truth.bytes + generator.to.len() < bytes {
        generator.resource(serial);
        serial += 1;
        if generator.to.len() > 1 << 16 {
            generator.flush(out)?;
        }
    }
    generator.to.close(']');
    generator.to.key("check_results");
    generator.to.raw("null");
    generator.to.close('}');
    generator.flush(out)?;
    out.flush()?;
    Ok(generator.truth)
}

struct Generator {
    random: u64,
    truth: Truth,
    to: Pretty,
}

const LOREM: [&str; 12] = [
    "vpc",
    "subnet",
    "prod",
    "eu-west-1",
    "gateway",
    "<nil>",
    "a&b",
    "héllo",
    "日本語",
    "🚀",
    "primary",
    "10.0.0.0/16",
];
const TYPES: [&str; 12] = [
    "aws_instance",
    "aws_subnet",
    "aws_security_group",
    "aws_iam_role",
    "aws_iam_policy",
    "aws_lambda_function",
    "kubernetes_manifest",
    "helm_release",
    "tls_private_key",
    "random_id",
    "google_project_service",
    "azurerm_subnet",
];
const HCL: &str =
    "data \"terraform_remote_state\" \"net\" {\n  backend = \"remote\"\n  config = { organization = \"x\" }\n}\n";
const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:List*"],"Resource":"*"}]}"#;

impl Generator {
    fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        let text = self.to.take();
        self.truth.bytes += text.len();
        out.write_all(text.as_bytes())
    }

    fn next(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % below
    }

    fn words(&mut self, count: u64) -> String {
        let words: Vec<&str> = (0..count).map(|_| LOREM[usize::try_from(self.next(12)).unwrap_or(0)]).collect();
        words.join(" ")
    }

    fn id(&mut self) -> String {
        format!("{:016x}", self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ self.next(u64::MAX))
    }

    fn head(&mut self, outputs: usize) {
        self.to.open('{');
        self.to.key("version");
        self.to.raw("4");
        self.text("terraform_version", "1.11.4");
        self.to.key("serial");
        self.to.raw("42");
        self.text("lineage", "8a5263e2-a4e9-8133-7ab6-1710a6f2f81d");
        self.to.key("outputs");
        self.to.open('{');
        for index in 0..outputs {
            self.to.key(&format!("output_{index}"));
            self.to.open('{');
            self.to.key("value");
            self.values(3);
            self.to.key("type");
            self.to.raw("\"string\"");
            self.to.close('}');
        }
        self.to.close('}');
        self.truth.outputs = outputs;
        self.to.key("resources");
        self.to.open('[');
    }

    fn text(&mut self, key: &str, value: &str) {
        self.to.key(key);
        self.to.text(value);
    }

    fn values(&mut self, count: u64) {
        self.to.open('{');
        for index in 0..count {
            let value = self.words(2);
            self.text(&format!("key_{index}"), &value);
        }
        self.to.close('}');
    }

    fn resource(&mut self, serial: usize) {
        let reads = serial % 140 == 7;
        // A managed resource of that very type is no reference.
        let decoy = serial % 140 == 77;
        let kind = match (reads, decoy) {
            (true, _) if serial % 280 == 7 => "tfe_outputs",
            (true, _) | (_, true) => "terraform_remote_state",
            _ => TYPES[usize::try_from(self.next(12)).unwrap_or(0)],
        };
        self.to.open('{');
        if self.next(3) == 0 {
            let module = format!("module.m{}.module.inner[\"{}\"]", self.next(40), self.next(9));
            self.text("module", &module);
        }
        self.text("mode", if reads { "data" } else { "managed" });
        self.text("type", kind);
        self.text("name", &format!("r{serial}"));
        self.text("provider", "provider[\"registry.terraform.io/hashicorp/aws\"]");
        self.to.key("instances");
        self.to.open('[');
        let instances = if self.next(6) == 0 { 1 + self.next(5) } else { 1 };
        for index in 0..instances {
            self.instance(index, instances > 1, reads.then_some(kind));
        }
        self.to.close(']');
        self.to.close('}');
    }

    fn instance(&mut self, index: u64, keyed: bool, reads: Option<&str>) {
        self.to.open('{');
        if keyed {
            self.text("index_key", &format!("key-{index}"));
        }
        self.to.key("schema_version");
        self.to.raw("0");
        self.to.key("attributes");
        self.to.open('{');
        match reads {
            Some("tfe_outputs") => self.tfe_outputs(),
            Some(_) => self.remote_state(),
            None => self.attributes(),
        }
        self.to.close('}');
        self.to.key("sensitive_attributes");
        self.to.raw("[]");
        if reads.is_none() {
            self.text("private", "eyJzY2hlbWFfdmVyc2lvbiI6IjEifQ==");
            self.to.key("dependencies");
            self.to.open('[');
            self.to.text("data.terraform_remote_state.network");
            self.to.text("module.vpc.aws_subnet.private");
            self.to.close(']');
        } else {
            self.truth.references += 1;
        }
        self.to.close('}');
    }

    fn dynamic(&mut self, key: &str) {
        self.to.key(key);
        self.to.open('{');
        self.to.key("value");
        self.values(12);
        self.to.key("type");
        self.to.raw("[\"map\",\"string\"]");
        self.to.close('}');
    }

    fn tfe_outputs(&mut self) {
        self.text("id", "acme-network");
        self.text("organization", "acme");
        self.dynamic("values");
        self.text("workspace", "network");
    }

    fn remote_state(&mut self) {
        self.text("backend", "remote");
        let name = format!("network-{}", self.next(80));
        self.to.key("config");
        self.to.raw(&format!(
            "{{\"value\":{{\"organization\":\"acme\",\"workspaces\":{{\"name\":\"{name}\"}}}},\"type\":\"dynamic\"}}"
        ));
        self.to.key("defaults");
        self.to.raw("null");
        self.dynamic("outputs");
        self.to.key("workspace");
        self.to.raw("null");
    }

    fn attributes(&mut self) {
        let id = self.id();
        self.text("arn", &format!("arn:aws:ec2:eu-west-1:123456789012:instance/i-{id}"));
        self.text("id", &format!("i-{id}"));
        self.text("type", "terraform_remote_state");
        self.to.key("enabled");
        self.to.raw("true");
        for index in 0..16 + self.next(50) {
            let (value, words) = (self.id(), self.next(6));
            let value = if index % 3 == 0 { self.words(words) } else { value };
            self.text(&format!("attribute_{index}"), &value);
        }
        self.to.key("tags");
        let tags = 2 + self.next(6);
        self.values(tags);
        self.to.key("network_interface");
        self.to.open('[');
        for _ in 0..self.next(4) {
            self.to.open('{');
            self.to.key("device_index");
            self.to.raw("0");
            self.text("mode", "data");
            self.to.close('}');
        }
        self.to.close(']');
        self.document();
    }

    /// One resource in three has a longer text, one in eighty a very long one.
    fn document(&mut self) {
        match self.next(80) {
            0 => {
                let length = 20_000 + self.next(180_000);
                let text: String = (0..length / 16).map(|_| self.id()).collect();
                self.text("manifest", &text);
            }
            1..=8 => self.text("policy", &POLICY.repeat(3)),
            9..=15 => self.text("template", HCL),
            16..=22 => {
                let body: String = (0..24).map(|_| self.id().repeat(4) + "\n").collect();
                self.text("pem", &format!("-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"));
            }
            23..=25 => {
                let lines: String =
                    (0..40).flat_map(|_| ["  - name: ".to_owned(), self.words(4), "\n".to_owned()]).collect();
                self.text("user_data", &lines);
            }
            _ => {}
        }
    }
}
