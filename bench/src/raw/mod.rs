//! The same work in hand-written Vulkan, as well as we know how: sets written beforehand, nothing bound twice, compute-only barriers, command buffers used again, one signal, and a
//! wait that never sleeps.

mod gpu;
mod objects;
mod readback;
mod record;
mod scope;
mod work;

pub use gpu::{Driver, Family, Gpu, Signal};
pub use readback::Readback;
pub use record::RecordOnly;
pub use work::{Bind, Parameters, RawRow, RawWork, Submit, Way};
