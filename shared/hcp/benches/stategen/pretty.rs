//! JSON in the layout of Terraform's own writer.

/// Text being written, indented by two spaces.
#[derive(Default)]
pub struct Pretty {
    text: String,
    depth: usize,
    /// Whether the container being written has a member already.
    members: Vec<bool>,
    /// Whether a key has just been written.
    keyed: bool,
}

impl Pretty {
    /// Bytes not taken yet.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Takes what has been written so far.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    fn line(&mut self) {
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n("  ", self.depth));
    }

    fn begin(&mut self) {
        if std::mem::take(&mut self.keyed) {
            return;
        }
        if let Some(has) = self.members.last_mut() {
            if std::mem::replace(has, true) {
                self.text.push(',');
            }
            self.line();
        }
    }

    /// Begins an object or array.
    pub fn open(&mut self, bracket: char) {
        self.begin();
        self.text.push(bracket);
        self.depth += 1;
        self.members.push(false);
    }

    /// Ends an object or array.
    pub fn close(&mut self, bracket: char) {
        self.depth -= 1;
        if self.members.pop() == Some(true) {
            self.line();
        }
        self.text.push(bracket);
    }

    /// Writes a key.
    pub fn key(&mut self, key: &str) {
        self.text(key);
        self.text.push_str(": ");
        self.keyed = true;
    }

    /// Writes a value as it is.
    pub fn raw(&mut self, value: &str) {
        self.begin();
        self.text.push_str(value);
    }

    /// Writes a string.
    pub fn text(&mut self, value: &str) {
        self.begin();
        self.text.push('"');
        for letter in value.chars() {
            match letter {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '<' => self.text.push_str("\\u003c"),
                '>' => self.text.push_str("\\u003e"),
                '&' => self.text.push_str("\\u0026"),
                _ => self.text.push(letter),
            }
        }
        self.text.push('"');
    }
}
