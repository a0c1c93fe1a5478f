//! Launches, with the arguments that TVM's host code gives.

use std::cell::Cell;

use tidegate::interface::ScalarKind;
use tidegate::{Argument as _, Arguments, Grid, List, Slice};

use crate::addresses::Place;
use crate::bridge;
use crate::cards::{lock, runtime};
use crate::error::{Error, Result, bail};
use crate::kernel::{Kernel, Ready};
use crate::module::Target;

/// An argument, as TVM has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Int(i64),
    Float(f64),
    Pointer(u64),
    /// Something else, by TVM's number for its type.
    Other(i32),
}

thread_local! {
    /// The device that TVM has set for this thread.
    static DEVICE: Cell<i32> = const { Cell::new(0) };
}

/// Sets the device of kernels that take no buffer.
pub(crate) fn set_device(index: i32) {
    DEVICE.set(index);
}

/// Launches a kernel on the thread's current stream of the device that its buffers are on.
pub(crate) fn launch(kernel: &Kernel, len: usize, at: impl Fn(usize) -> Value) -> Result<()> {
    let named = |Error(why)| Error(format!("kernel `{}`: {why}", kernel.name()));
    let signature = &kernel.signature;
    let types = kernel.source.description.types.len();
    let expected = types + signature.extents.len();
    if len != expected {
        return Err(named(Error(format!(
            "{len} arguments for a kernel that takes {expected}"
        ))));
    }
    let mut extents = [1; 6];
    for (position, extent) in (types..).zip(&signature.extents) {
        extents[*extent] = extent_of(at(position)).map_err(named)?;
    }
    let [x, y, z, threads @ ..] = extents;
    if extents.contains(&0) {
        return Ok(());
    }
    let mut places = Vec::with_capacity(signature.buffers.len());
    for (index, position) in signature.buffers.iter().enumerate() {
        let place = place(at(*position))
            .map_err(|Error(why)| named(Error(format!("buffer {index}: {why}"))))?;
        places.push(place);
    }
    let card = match places.first() {
        Some(place) => std::sync::Arc::clone(&place.allocation.card),
        None => runtime().card(DEVICE.get())?,
    };
    let ready = kernel.ready(&card, threads)?;
    let (grid, last) = match kernel.source.target {
        Target::WebGpu => {
            spread([x, y, z], ready.packed, card.device.capabilities().grid_max).map_err(named)?
        }
        Target::Metal => ([x, y, z], 0),
    };
    if ready.kernel.workgroup_size() != threads {
        return Err(named(Error(format!(
            "launched with {threads:?} threads a block, compiled with {:?}",
            ready.kernel.workgroup_size()
        ))));
    }
    let numbers = signature.numbers.iter().map(|(position, _)| at(*position));
    let scalars = scalars(&ready, numbers, last).map_err(named)?;
    let given = Given {
        ready: &ready,
        places: &places,
        scalars: &scalars,
    };
    let stream = bridge::current_stream(kernel.source.target, card.index);
    let line = card.line(stream).map_err(named)?;
    // Two arguments may be views of one allocation, whose lengths TVM does not tell: it answers for what they do to each other, as with all its runtimes.
    lock(&line).launch_aliased(&ready.kernel, Grid(grid), &given)?;
    Ok(())
}

fn extent_of(value: Value) -> Result<u32> {
    match value {
        Value::Int(number) => match u32::try_from(number) {
            Ok(extent) => Ok(extent),
            Err(_) => bail!("a grid of {number} blocks or threads"),
        },
        _ => bail!("the size of its grid is not a number"),
    }
}

fn place(value: Value) -> Result<Place> {
    match value {
        Value::Pointer(0) => bail!("it is a null pointer"),
        Value::Pointer(address) => {
            let place = runtime().addresses.find(address)?;
            if place.offset >= place.allocation.buffer.len() as u64 {
                bail!("it begins at the end of its allocation");
            }
            Ok(place)
        }
        Value::Other(kind) => bail!("TVM's type {kind} is given, and a pointer is wanted"),
        _ => bail!("a number is given, and a pointer is wanted"),
    }
}

/// A grid whose extent along x may be larger than the device's, spread over z, and what the kernel is told of it.
///
/// TVM's kernels read x as `z * gridDim.x + x`, and leave if that is greater than the number they are given: so it is the last one, not the count.
fn spread([x, y, z]: [u32; 3], packed: bool, max: [u32; 3]) -> Result<([u32; 3], u32)> {
    if z != 1 {
        bail!("it is launched with {z} blocks along z, which TVM keeps for itself in this target");
    }
    if x <= max[0] || !packed {
        return Ok(([x, y, 1], x));
    }
    let z = x.div_ceil(max[0]);
    Ok(([x.div_ceil(z), y, z], x - 1))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    I32(i32),
    U32(u32),
    F32(f32),
    F16(half::f16),
    I64(i64),
    U64(u64),
}

fn scalars(ready: &Ready, numbers: impl Iterator<Item = Value>, last: u32) -> Result<Vec<Number>> {
    let more = ready.packed.then_some(Value::Int(last.into()));
    let all = numbers.chain(more);
    // A kernel that uses none has no place for them.
    all.zip(&ready.scalars)
        .map(|(value, kind)| number(value, *kind))
        .collect()
}

fn number(value: Value, kind: ScalarKind) -> Result<Number> {
    let out = |number: i64| {
        Error(format!(
            "{number} does not fit a number of the kernel, which is {kind:?}"
        ))
    };
    match (value, kind) {
        (Value::Int(it), ScalarKind::I32) => it.try_into().map(Number::I32).map_err(|_| out(it)),
        (Value::Int(it), ScalarKind::U32) => it.try_into().map(Number::U32).map_err(|_| out(it)),
        (Value::Int(it), ScalarKind::I64) => Ok(Number::I64(it)),
        (Value::Int(it), ScalarKind::U64) => Ok(Number::U64(it.cast_unsigned())),
        (Value::Int(it), ScalarKind::F32) => Ok(Number::F32(it as f32)),
        (Value::Float(it), ScalarKind::F32) => Ok(Number::F32(it as f32)),
        (Value::Float(it), ScalarKind::F16) => Ok(Number::F16(half::f16::from_f64(it))),
        (value, kind) => bail!("{value:?} is given for a number that is {kind:?}"),
    }
}

struct Given<'a> {
    ready: &'a Ready,
    places: &'a [Place],
    scalars: &'a [Number],
}

impl Arguments for Given<'_> {
    fn add_all(&self, list: &mut List) {
        for at in &self.ready.buffers {
            self.places[*at].rest().add(list);
        }
        for scalar in self.scalars {
            match scalar {
                Number::I32(it) => it.add(list),
                Number::U32(it) => it.add(list),
                Number::F32(it) => it.add(list),
                Number::F16(it) => it.add(list),
                Number::I64(it) => it.add(list),
                Number::U64(it) => it.add(list),
            }
        }
    }
}

impl Place {
    /// Everything from here on.
    fn rest(&self) -> Slice<'_, u8> {
        let buffer = &self.allocation.buffer;
        let start = usize::try_from(self.offset).unwrap_or(usize::MAX);
        // It was checked to lie inside.
        buffer.slice(start..).unwrap_or_else(|_| buffer.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_spread_only_where_it_must_be() {
        let max = [100, 100, 100];
        assert_eq!(spread([100, 2, 1], true, max), Ok(([100, 2, 1], 100)));
        assert_eq!(spread([101, 2, 1], true, max), Ok(([51, 2, 2], 100)));
        assert_eq!(spread([101, 2, 1], false, max), Ok(([101, 2, 1], 101)));
        assert!(spread([1, 1, 2], true, max).is_err());
        for x in 101..2000 {
            let ([wide, _, deep], last) = spread([x, 1, 1], true, max).unwrap();
            assert!(wide <= 100 && wide * deep >= x && last == x - 1);
        }
    }

    #[test]
    fn numbers_are_converted_as_the_kernel_has_them_or_refused() {
        assert_eq!(number(Value::Int(-1), ScalarKind::I32), Ok(Number::I32(-1)));
        assert_eq!(number(Value::Int(7), ScalarKind::F32), Ok(Number::F32(7.0)));
        let half = half::f16::from_f64(0.5);
        assert_eq!(
            number(Value::Float(0.5), ScalarKind::F16),
            Ok(Number::F16(half))
        );
        assert_eq!(
            number(Value::Int(-1), ScalarKind::U64),
            Ok(Number::U64(u64::MAX))
        );
        assert!(number(Value::Int(1 << 31), ScalarKind::I32).is_err());
        assert!(number(Value::Int(-1), ScalarKind::U32).is_err());
        assert!(number(Value::Float(1.0), ScalarKind::I32).is_err());
        assert!(number(Value::Pointer(1), ScalarKind::U64).is_err());
    }
}
