//! Prints JSON in every way JSON allows.

/// A small generator of numbers: one seed gives one state.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 17) % limit as u64).expect("below a usize")
    }

    pub(super) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// JSON that may repeat keys.
#[derive(Clone)]
pub(super) enum Json {
    Word(&'static str),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

pub(super) fn text(text: impl Into<String>) -> Json {
    Json::Text(text.into())
}

pub(super) fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// A way to print.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) spaces: bool,
    pub(super) shuffled: bool,
    /// One letter in how many is written as an escape; zero for none.
    pub(super) escapes: usize,
    /// One member in how many is preceded by another of the same key; zero for none.
    pub(super) repeats: usize,
}

impl Style {
    pub(super) fn print(self, json: &Json, random: &mut Random, out: &mut String) {
        match json {
            Json::Word(word) => out.push_str(word),
            Json::Text(text) => self.text(text, random, out),
            Json::Array(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    self.comma(index, random, out);
                    self.print(element, random, out);
                    self.space(random, out);
                }
                self.space(random, out);
                out.push(']');
            }
            Json::Object(members) => self.object(members, random, out),
        }
    }

    fn object(self, members: &[(String, Json)], random: &mut Random, out: &mut String) {
        let mut order: Vec<&(String, Json)> = members.iter().collect();
        if self.shuffled {
            for index in (1..order.len()).rev() {
                order.swap(index, random.below(index + 1));
            }
        }
        out.push('{');
        let mut written = 0;
        for (key, value) in order {
            if self.repeats > 0 && random.one_in(self.repeats) {
                let other = random.pick(members).1;
                let null = random.one_in(2) && key != "name" && key != "version";
                let other = if null || !same_type(&other, value) { Json::Word("null") } else { other };
                self.member(&mut written, key, &other, random, out);
            }
            self.member(&mut written, key, value, random, out);
        }
        self.space(random, out);
        out.push('}');
    }

    fn member(self, written: &mut usize, key: &str, value: &Json, random: &mut Random, out: &mut String) {
        self.comma(*written, random, out);
        *written += 1;
        self.text(key, random, out);
        self.space(random, out);
        out.push(':');
        self.space(random, out);
        self.print(value, random, out);
        self.space(random, out);
    }

    fn comma(self, index: usize, random: &mut Random, out: &mut String) {
        if index > 0 {
            out.push(',');
        }
        self.space(random, out);
    }

    fn space(self, random: &mut Random, out: &mut String) {
        if self.spaces {
            out.push_str(random.pick(&["", " ", "\n    ", "\t\r\n", "\n                                        "]));
        }
    }

    fn text(self, text: &str, random: &mut Random, out: &mut String) {
        out.push('"');
        for letter in text.chars() {
            let escape = self.escapes > 0 && random.one_in(self.escapes);
            match letter {
                '"' | '\\' if !escape => out.extend(['\\', letter]),
                '\n' if !escape => out.push_str("\\n"),
                '/' if escape => out.push_str("\\/"),
                _ if escape || letter < ' ' => {
                    let upper = random.one_in(2);
                    for unit in letter.encode_utf16(&mut [0; 2]) {
                        let escape = if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
                        out.push_str(&escape);
                    }
                }
                _ => out.push(letter),
            }
        }
        out.push('"');
    }
}

fn same_type(one: &Json, other: &Json) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}
