/// A value in a file's metadata.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the variants are the format's types, by name")]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    String(String),
    Array(Array),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// An array in a file's metadata. Each type has its own vector, so that an array takes no more memory than file.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the variants are the format's types, by name")]
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    Bool(Vec<bool>),
    String(Vec<String>),
    Array(Vec<Self>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F64(Vec<f64>),
}

impl Value {
    /// The value, if it is an integer of any width.
    pub fn integer(&self) -> Option<i128> {
        match *self {
            Self::U8(number) => Some(number.into()),
            Self::I8(number) => Some(number.into()),
            Self::U16(number) => Some(number.into()),
            Self::I16(number) => Some(number.into()),
            Self::U32(number) => Some(number.into()),
            Self::I32(number) => Some(number.into()),
            Self::U64(number) => Some(number.into()),
            Self::I64(number) => Some(number.into()),
            _ => None,
        }
    }

    /// Type and value in a few words, for an error message.
    pub(crate) fn summary(&self) -> String {
        match self {
            Self::F32(number) => format!("the number {number}"),
            Self::F64(number) => format!("the number {number}"),
            Self::Bool(flag) => format!("the boolean {flag}"),
            Self::String(text) => {
                format!("the string {:?}", text.chars().take(40).collect::<String>())
            }
            Self::Array(array) => format!("an array of {} {}", array.len(), array.type_name()),
            _ => match self.integer() {
                Some(number) => format!("the integer {number}"),
                None => "of another type".to_owned(),
            },
        }
    }
}

/// The same expression for every variant of an array.
macro_rules! each {
    ($array:expr, $items:ident => $body:expr) => {
        match $array {
            Array::U8($items) => $body,
            Array::I8($items) => $body,
            Array::U16($items) => $body,
            Array::I16($items) => $body,
            Array::U32($items) => $body,
            Array::I32($items) => $body,
            Array::F32($items) => $body,
            Array::Bool($items) => $body,
            Array::String($items) => $body,
            Array::Array($items) => $body,
            Array::U64($items) => $body,
            Array::I64($items) => $body,
            Array::F64($items) => $body,
        }
    };
}

impl Array {
    /// How many items the array has.
    pub fn len(&self) -> usize {
        each!(self, items => items.len())
    }

    /// Whether the array has no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "strings",
            Self::Array(_) => "arrays",
            Self::Bool(_) => "booleans",
            Self::F32(_) | Self::F64(_) => "numbers",
            _ => "integers",
        }
    }
}
