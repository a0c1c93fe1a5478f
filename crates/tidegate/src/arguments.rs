//! The arguments of a launch: buffers and scalars, in the kernel's order.

use bytemuck::Pod;
use tidegate_core::{Kernel, LaunchProblem, Region, ScalarKind};

use crate::backend::AnyContext;
use crate::{Buffer, Slice};

/// One argument: a reference to a [`Buffer`], a [`Slice`], a number, an array of numbers for a vector, or a [`Block`] of scalars.
///
/// Buffers go to the kernel's bindings in order of group and binding, scalars to the members of its `var<immediate>` (or of its only `var<uniform>`) in order.
pub trait Argument {
    /// Adds it to the list.
    fn add(&self, list: &mut List);
}

/// All arguments of a launch: a tuple of up to 16, or a slice of references for lists made at run time.
pub trait Arguments {
    /// Adds them to the list, in order.
    fn add_all(&self, list: &mut List);
}

/// All scalars of a kernel at once, as bytes laid out as the kernel declares them. A launch takes either one block or single scalars.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a, T>(pub &'a T);

/// Arguments on their way into a launch. A stream keeps one and uses it again, so that a launch allocates nothing.
#[derive(Debug, Default)]
pub struct List {
    pub(crate) regions: Vec<Region>,
    pub(crate) scalars: Vec<u8>,
    given: Vec<(&'static str, ScalarKind, u32, u32)>,
    blocks: usize,
    /// The first problem met while arguments were added.
    failure: Option<tidegate_core::Error>,
    context: Option<AnyContext>,
}

impl List {
    /// Takes the arguments of a launch in, laid out as `kernel` declares them.
    pub(crate) fn fill(
        &mut self,
        context: &AnyContext,
        arguments: &dyn Arguments,
        kernel: &Kernel,
    ) -> Result<(), tidegate_core::Error> {
        self.start(context);
        arguments.add_all(self);
        self.finish(kernel)
    }

    /// The arguments, as core takes them.
    pub(crate) fn as_core(&self, aliasing: bool) -> tidegate_core::Arguments<'_> {
        tidegate_core::Arguments {
            regions: &self.regions,
            scalars: &self.scalars,
            aliasing,
        }
    }

    fn start(&mut self, context: &AnyContext) {
        self.regions.clear();
        self.scalars.clear();
        self.given.clear();
        self.blocks = 0;
        self.failure = None;
        if self.context.is_none() {
            self.context = Some(context.clone());
        }
    }

    /// Lays the scalars out as `kernel` declares them.
    fn finish(&mut self, kernel: &Kernel) -> Result<(), tidegate_core::Error> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        self.arrange(kernel)
            .map_err(|problem| tidegate_core::Error::Launch {
                kernel: kernel.name.clone(),
                problem,
            })
    }

    fn arrange(&mut self, kernel: &Kernel) -> Result<(), LaunchProblem> {
        let Some(block) = &kernel.scalars else {
            return match self.given.len() + self.blocks {
                0 => Ok(()),
                given => Err(LaunchProblem::ScalarCount { expected: 0, given }),
            };
        };
        if self.blocks == 1 && self.given.is_empty() {
            // Its size is checked against the kernel's with the rest of the launch.
            return Ok(());
        }
        // A block stands for all members, so that nothing fits beside it.
        let members = block.members.len();
        let given = self.given.len() + self.blocks * members.max(1);
        if self.blocks > 0 || given != members {
            return Err(LaunchProblem::ScalarCount {
                expected: members,
                given,
            });
        }
        // A block without members is given whole or not at all: zeros must not stand for it.
        if members == 0 && block.bytes > 0 {
            return Err(LaunchProblem::ScalarBytes {
                expected: block.bytes,
                given: 0,
            });
        }
        let packed = self.scalars.len();
        let size = block.bytes as usize;
        self.scalars.resize(packed + size, 0);
        for (member, (given, kind, offset, bytes)) in block.members.iter().zip(&self.given) {
            let fits = member.bytes == *bytes
                && (member.kind == *kind || member.kind == ScalarKind::Bytes);
            if !fits {
                return Err(LaunchProblem::ScalarType {
                    name: member.name.clone(),
                    expected: name(member.kind, member.bytes),
                    given,
                });
            }
            let from = *offset as usize;
            let bytes = *bytes as usize;
            let to = packed + member.offset as usize;
            self.scalars.copy_within(from..from + bytes, to);
        }
        self.scalars.drain(..packed);
        Ok(())
    }

    fn scalar(&mut self, name: &'static str, kind: ScalarKind, bytes: &[u8]) {
        let offset = self.scalars.len() as u32;
        self.scalars.extend_from_slice(bytes);
        self.given.push((name, kind, offset, bytes.len() as u32));
    }
}

fn name(kind: ScalarKind, bytes: u32) -> &'static str {
    match (kind, bytes) {
        (ScalarKind::F32, _) => "f32",
        (ScalarKind::I32, _) => "i32",
        (ScalarKind::U32, _) => "u32",
        (_, 2) => "a type of 2 bytes",
        (_, 4) => "a type of 4 bytes",
        (_, 8) => "a type of 8 bytes",
        (_, 16) => "a type of 16 bytes",
        _ => "a type of another size",
    }
}

impl<T: Pod> Argument for Slice<'_, T> {
    fn add(&self, list: &mut List) {
        let owned = list
            .context
            .as_ref()
            .is_some_and(|it| it.same(self.memory.context()));
        let region = if owned {
            self.memory.region(self.offset(), self.bytes())
        } else {
            Err(tidegate_core::Error::ForeignDevice { what: "buffer" })
        };
        match region {
            Ok(region) => list.regions.push(region),
            Err(error) => {
                list.failure.get_or_insert(error);
            }
        }
    }
}

impl<T: Pod> Argument for Buffer<T> {
    fn add(&self, list: &mut List) {
        self.as_slice().add(list);
    }
}

impl<T: Argument + ?Sized> Argument for &T {
    fn add(&self, list: &mut List) {
        (**self).add(list);
    }
}

impl<T: Pod> Argument for Block<'_, T> {
    fn add(&self, list: &mut List) {
        list.blocks += 1;
        list.scalars.extend_from_slice(bytemuck::bytes_of(self.0));
    }
}

macro_rules! scalar {
    ($($type:ty => $kind:ident),*) => {$(
        impl Argument for $type {
            fn add(&self, list: &mut List) {
                list.scalar(stringify!($type), ScalarKind::$kind, bytemuck::bytes_of(self));
            }
        }
    )*};
}

scalar!(f32 => F32, i32 => I32, u32 => U32, half::f16 => Bytes, i64 => Bytes, u64 => Bytes, f64 => Bytes);

macro_rules! vector {
    ($($type:ty => $kind:ident),*) => {$(
        impl<const N: usize> Argument for [$type; N] {
            fn add(&self, list: &mut List) {
                list.scalar(concat!("a vector of ", stringify!($type)), ScalarKind::$kind, bytemuck::cast_slice(self));
            }
        }
    )*};
}

vector!(f32 => F32, i32 => I32, u32 => U32);

impl Arguments for [&dyn Argument] {
    fn add_all(&self, list: &mut List) {
        for argument in self {
            argument.add(list);
        }
    }
}

impl<T: Arguments + ?Sized> Arguments for &T {
    fn add_all(&self, list: &mut List) {
        (**self).add_all(list);
    }
}

impl Arguments for () {
    fn add_all(&self, _list: &mut List) {}
}

macro_rules! tuple {
    ($($name:ident)+) => {
        impl<$($name: Argument),+> Arguments for ($($name,)+) {
            fn add_all(&self, list: &mut List) {
                #[expect(non_snake_case, reason = "a type's name serves as its value's")]
                let ($($name,)+) = self;
                $($name.add(list);)+
            }
        }
    };
}

tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);
tuple!(A B C D E F G);
tuple!(A B C D E F G H);
tuple!(A B C D E F G H I);
tuple!(A B C D E F G H I J);
tuple!(A B C D E F G H I J K);
tuple!(A B C D E F G H I J K L);
tuple!(A B C D E F G H I J K L M);
tuple!(A B C D E F G H I J K L M N);
tuple!(A B C D E F G H I J K L M N O);
tuple!(A B C D E F G H I J K L M N O P);

#[cfg(test)]
mod tests {
    use tidegate_core::{ScalarPlace, Scalars};

    use super::*;

    /// Such a block is an array, for instance. Launched without scalars, the kernel got zeros.
    #[test]
    fn a_block_that_can_only_be_given_whole_is_asked_for() {
        let kernel = Kernel {
            name: "k".to_owned(),
            workgroup_size: [1; 3],
            bindings: Vec::new(),
            scalars: Some(Scalars {
                place: ScalarPlace::PushConstants,
                bytes: 16,
                members: Vec::new(),
            }),
        };
        let mut list = List::default();
        let (expected, given) = (16, 0);
        assert_eq!(
            list.finish(&kernel),
            Err(tidegate_core::Error::Launch {
                kernel: kernel.name.clone(),
                problem: LaunchProblem::ScalarBytes { expected, given },
            })
        );
        Block(&[7_u32; 4]).add(&mut list);
        assert_eq!(list.finish(&kernel), Ok(()));
        assert_eq!(list.scalars.len(), 16);
    }
}
