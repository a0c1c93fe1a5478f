//! Putting WGSL together. WGSL has no conditional compilation, and what a constant condition leaves out is still compiled: workgroup memory that nothing uses
//! would still be cleared. Nor does it promise to unroll a loop, and a checked module bounds each one.

use std::fmt::Write as _;

/// A kernel's source while it is put together.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    flags: Vec<&'static str>,
    counts: Vec<(&'static str, u32)>,
    head: String,
    body: String,
}

impl Assembly {
    /// With these flags set.
    pub(crate) fn new(flags: &[(&'static str, bool)]) -> Self {
        let set = flags.iter().filter(|(_, set)| *set).map(|(name, _)| *name);
        Self {
            flags: set.collect(),
            ..Self::default()
        }
    }

    /// Defines constants, which `#each` can count to.
    pub(crate) fn define(mut self, constants: &[(&'static str, u32)]) -> Self {
        for (name, value) in constants {
            // Writing to a string cannot fail.
            let _ = writeln!(self.head, "const {name} = {value}u;");
            self.counts.push((name, *value));
        }
        self
    }

    /// Defines a constant that is not a whole number.
    pub(crate) fn define_f32(mut self, name: &str, value: f32) -> Self {
        let _ = writeln!(self.head, "const {name} = {value:?}f;");
        self
    }

    /// Adds source, in which
    /// - the lines between `//#if FLAG`, `//#else` and `//#endif` stay if the flag chooses them; conditions nest;
    /// - the lines between `//#each i N` and `//#end`, N a number or a constant, are written N times, with `$i`, `$(2i)` and `$(2i+1)` replaced; they nest.
    pub(crate) fn add(mut self, source: &str) -> Self {
        let chosen = self.choose(source);
        let written = self.unroll(&chosen);
        self.body.push_str(&written);
        self
    }

    /// The source.
    pub(crate) fn finish(self) -> String {
        self.head + &self.body
    }

    fn choose(&self, source: &str) -> String {
        let mut kept = String::new();
        // Whether each condition that is open holds.
        let mut open: Vec<bool> = Vec::new();
        for line in source.lines() {
            match line.trim().strip_prefix("//#") {
                Some("else") => {
                    if let Some(holds) = open.last_mut() {
                        *holds = !*holds;
                    }
                }
                Some("endif") => {
                    open.pop();
                }
                Some(other) if other.starts_with("if ") => {
                    let flag = other.trim_start_matches("if ");
                    open.push(self.flags.contains(&flag));
                }
                _ if open.iter().all(|holds| *holds) => {
                    kept.push_str(line);
                    kept.push('\n');
                }
                _ => {}
            }
        }
        kept
    }

    fn unroll(&self, source: &str) -> String {
        let mut written = String::new();
        let mut lines = source.lines();
        while let Some(line) = lines.next() {
            let Some(each) = line.trim().strip_prefix("//#each ") else {
                written.push_str(line);
                written.push('\n');
                continue;
            };
            let (name, count) = each.split_once(' ').unwrap_or((each, "0"));
            let mut repeated = String::new();
            let mut depth = 1;
            for line in lines.by_ref() {
                match line.trim() {
                    "//#end" => depth -= 1,
                    other if other.starts_with("//#each ") => depth += 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                repeated.push_str(line);
                repeated.push('\n');
            }
            for i in 0..self.count(count) {
                let once = repeated
                    .replace(&format!("$(2{name})"), &(2 * i).to_string())
                    .replace(&format!("$(2{name}+1)"), &(2 * i + 1).to_string())
                    .replace(&format!("${name}"), &i.to_string());
                written.push_str(&self.unroll(&once));
            }
        }
        written
    }

    fn count(&self, text: &str) -> u32 {
        let constant = self.counts.iter().find(|(name, _)| *name == text);
        constant.map_or_else(|| text.parse().unwrap_or(0), |(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_nest() {
        let source = "a\n//#if X\nb\n//#if Y\nc\n//#else\nd\n//#endif\n//#else\ne\n//#endif\nf\n";
        let with = |flags: &[(&'static str, bool)]| Assembly::new(flags).add(source).finish();
        assert_eq!(with(&[("X", true), ("Y", true)]), "a\nb\nc\nf\n");
        assert_eq!(with(&[("X", true), ("Y", false)]), "a\nb\nd\nf\n");
        assert_eq!(with(&[("Y", true)]), "a\ne\nf\n");
    }

    #[test]
    fn lines_are_written_as_often_as_asked() {
        let source = "//#each i N\nx_$i = $iu + y_$(2i) * y_$(2i+1);\n//#end\nz";
        let made = Assembly::new(&[]).define(&[("N", 2)]).add(source).finish();
        let expected = "const N = 2u;\nx_0 = 0u + y_0 * y_1;\nx_1 = 1u + y_2 * y_3;\nz\n";
        assert_eq!(made, expected);
        let source = "//#each i 2\n//#each j 2\nx_$i_$j;\n//#end\ny_$i;\n//#end";
        let made = Assembly::new(&[]).add(source).finish();
        assert_eq!(made, "x_0_0;\nx_0_1;\ny_0;\nx_1_0;\nx_1_1;\ny_1;\n");
    }
}
