//! What the text of a source says of its kernels. Types are the compiler's business: only names and attributes are read.

use std::fmt::Write as _;

use crate::kernel::Problem;

/// A kernel as its text declares it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) name: String,
    pub(crate) threads_max: usize,
    parameters: Vec<Parameter>,
}

#[derive(Debug, PartialEq, Eq)]
enum Parameter {
    Buffer(usize),
    Threadgroup(usize),
    /// A field of `soft_ids`.
    Builtin(&'static str),
}

/// 5.2.3.6 of the specification: attributes of a kernel's parameters, and where the value is.
const BUILTINS: [(&str, &str); 15] = [
    ("thread_position_in_grid", "grid"),
    ("thread_position_in_threadgroup", "local"),
    ("threadgroup_position_in_grid", "group"),
    ("threads_per_threadgroup", "size"),
    ("dispatch_threads_per_threadgroup", "size"),
    ("threadgroups_per_grid", "groups"),
    ("threads_per_grid", "grid_size"),
    ("thread_index_in_threadgroup", "&index"),
    ("thread_index_in_simdgroup", "&lane"),
    ("simdgroup_index_in_threadgroup", "&simdgroup"),
    ("threads_per_simdgroup", "&width"),
    ("thread_execution_width", "&width"),
    ("dispatch_simdgroups_per_threadgroup", "&simdgroups"),
    ("simdgroups_per_threadgroup", "&simdgroups"),
    ("quadgroup_index_in_threadgroup", "&simdgroup"),
];

/// Every `kernel void name(..)`.
pub(crate) fn read(source: &str) -> Result<Vec<Signature>, Problem> {
    let mut all = Vec::new();
    let text = without_comments(source);
    for (at, word) in text.match_indices("kernel") {
        let before = text[..at].chars().next_back();
        let rest = &text[at + word.len()..];
        if before.is_some_and(is_word) || !rest.starts_with(char::is_whitespace) {
            continue;
        }
        let rest = rest.trim_start();
        let Some(rest) = rest.strip_prefix("void") else {
            return Err(problem(
                &text,
                at,
                "a kernel returns something other than void",
            ));
        };
        let Some(open) = rest.find('(') else {
            continue;
        };
        let name = rest[..open].trim().to_owned();
        let start = text.len() - rest.len() + open + 1;
        let Some(len) = closing(&text[start..]) else {
            return Err(problem(&text, start, "expected ')'"));
        };
        let mut parameters = Vec::new();
        for (offset, parameter) in split(&text[start..start + len]) {
            let parameter = self::parameter(parameter, &parameters);
            parameters.push(parameter.map_err(|what| problem(&text, start + offset, &what))?);
        }
        all.push(Signature {
            name,
            threads_max: threads_max(&text[..at]),
            parameters,
        });
    }
    Ok(all)
}

impl Signature {
    /// The functions by which the host calls it.
    pub(crate) fn entry(&self) -> String {
        let Self {
            name, parameters, ..
        } = self;
        let (mut call, mut table) = (String::new(), String::new());
        for (at, parameter) in parameters.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let ty = format!("soft_parameters<decltype({name})>::at<{at}>");
            let (value, kind, index) = match parameter {
                Parameter::Buffer(slot) => {
                    (format!("soft_bind<{ty}>::at(c->buffers[{slot}])"), 0, *slot)
                }
                Parameter::Threadgroup(index) => (
                    format!("soft_bind<{ty}>::at(c->threadgroups[{index}])"),
                    1,
                    *index,
                ),
                Parameter::Builtin(field) => {
                    let value = match field.strip_prefix('&') {
                        Some(field) => format!("soft_builtin<{ty}>(&i.{field})"),
                        None => format!("soft_builtin<{ty}>(i.{field})"),
                    };
                    let _ = write!(call, "{comma}{value}");
                    continue;
                }
            };
            let _ = write!(call, "{comma}{value}");
            let _ = write!(table, "soft_bind<{ty}>::argument({kind}, {index}), ");
        }
        format!(
            "SOFT_EXPORT void soft_thread_{name}(const soft_call* c, const soft_ids* p) {{ const soft_ids& i = *p; (void)i; {name}({call}); }}\n\
             SOFT_EXPORT void soft_group_{name}(const soft_call* c, const uint* g) {{ soft_loop(c, g, [&](const soft_ids& i) {{ (void)i; {name}({call}); }}); }}\n\
             SOFT_EXPORT extern const soft_argument soft_arguments_{name}[] = {{{table}{{2, 0, 0, 0, 0}}}};\n"
        )
    }
}

/// What a parameter is bound to, by its attribute; naga's threadgroup parameters have none and are numbered.
fn parameter(text: &str, before: &[Parameter]) -> Result<Parameter, String> {
    let Some((_, attribute)) = text.split_once("[[") else {
        if text.trim_start().starts_with("threadgroup") {
            let count = before
                .iter()
                .filter(|it| matches!(it, Parameter::Threadgroup(_)));
            return Ok(Parameter::Threadgroup(count.count()));
        }
        return Err(format!("parameter `{}` has no attribute", text.trim()));
    };
    let attribute = attribute.split("]]").next().unwrap_or_default().trim();
    let index = |kind: &str| {
        let inner = attribute
            .strip_prefix(kind)?
            .trim_start()
            .strip_prefix('(')?;
        inner.strip_suffix(')')?.trim().parse::<usize>().ok()
    };
    if let Some(slot) = index("buffer") {
        return match slot {
            0..31 => Ok(Parameter::Buffer(slot)),
            _ => Err(format!(
                "'buffer' attribute parameter is out of bounds: must be between 0 and 30, not {slot}"
            )),
        };
    }
    if let Some(index) = index("threadgroup") {
        return Ok(Parameter::Threadgroup(index));
    }
    let builtin = BUILTINS.iter().find(|(name, _)| *name == attribute);
    match builtin {
        Some((_, field)) => Ok(Parameter::Builtin(field)),
        None => Err(format!(
            "unknown attribute '{attribute}' on a kernel's parameter"
        )),
    }
}

/// Threadgroup variables in a kernel's body become one for each thread of the host, which runs a threadgroup at a time.
pub(crate) fn with_shared_variables(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("threadgroup ") {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let statement = from.split(';').next().unwrap_or_default();
        let starts = before.trim_end().ends_with(['{', '}', ';']);
        let variable = !statement.contains(['*', '&', '=', '(', ')']);
        if starts && variable {
            out.push_str("static thread_local ");
        }
        let (word, after) = from.split_at("threadgroup ".len());
        out.push_str(word);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The attribute stands before the kernel, after whatever ended before it.
fn threads_max(before: &str) -> usize {
    let from = before.rfind([';', '}']).map_or(0, |at| at + 1);
    let inner = before[from..]
        .split("max_total_threads_per_threadgroup(")
        .nth(1);
    let digits = inner.and_then(|it| it.split(')').next());
    digits.and_then(|it| it.trim().parse().ok()).unwrap_or(1024)
}

/// Comments as spaces, so that every position stays.
fn without_comments(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("//").into_iter().chain(rest.find("/*")).min() {
        out.push_str(&rest[..at]);
        let line = rest[at..].starts_with("//");
        let end = if line {
            rest[at..].find('\n')
        } else {
            rest[at..].find("*/").map(|it| it + 2)
        };
        let end = end.map_or(rest.len(), |it| at + it);
        let blank = |byte| if byte == b'\n' { '\n' } else { ' ' };
        out.extend(rest[at..end].bytes().map(blank));
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// Parameters with their positions.
fn split(text: &str) -> Vec<(usize, &str)> {
    let (mut depth, mut start, mut all) = (0, 0, Vec::new());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'<' | b'[' => depth += 1,
            b')' | b'>' | b']' => depth -= 1,
            b',' if depth == 0 => {
                all.push((start, &text[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    all.push((start, &text[start..]));
    all.retain(|(_, parameter)| !parameter.trim().is_empty());
    all
}

/// Where the parenthesis that is open closes.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    text.bytes().position(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// In the form of the compiler's own messages.
fn problem(text: &str, at: usize, what: &str) -> Problem {
    let skipped = text[at..].len() - text[at..].trim_start().len();
    let before = &text[..at + skipped];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, str::len) + 1;
    Problem(format!("program_source:{line}:{column}: error: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_and_mistakes_have_a_place() {
        let source = "// kernel void no(\n[[max_total_threads_per_threadgroup(64)]] kernel void f(\n  metal::uint3 id [[thread_position_in_grid]]\n, device float* a [[buffer(3)]]\n, threadgroup int& t\n) {}";
        let found = read(source).expect("it is right");
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].threads_max), ("f", 64));
        let expected = [
            Parameter::Builtin("grid"),
            Parameter::Buffer(3),
            Parameter::Threadgroup(0),
        ];
        assert_eq!(found[0].parameters, expected);
        let Problem(text) = read(&source.replace("buffer(3)", "bufer(3)")).expect_err("misspelt");
        assert_eq!(
            text,
            "program_source:4:3: error: unknown attribute 'bufer(3)' on a kernel's parameter"
        );
    }

    #[test]
    fn threadgroup_variables_of_a_body_are_shared() {
        let shared = with_shared_variables(
            "kernel void f(threadgroup int* p) { threadgroup float t[4]; threadgroup float* q = t; }",
        );
        assert_eq!(
            shared
                .matches("static thread_local threadgroup float t[4]")
                .count(),
            1
        );
        assert_eq!(shared.matches("static").count(), 1);
    }
}
