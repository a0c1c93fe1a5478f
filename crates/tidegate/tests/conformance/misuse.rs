//! Bad input: each a typed error with the names and numbers in it, no panic, and the stream goes on working.

use tidegate::{Block, Device, Error, ErrorKind, Kernel, LaunchProblem, Stream, StreamError};

use crate::world::World;

/// A stream, and a kernel to see afterwards that it still works.
struct Bench {
    device: Device,
    stream: Stream,
    affine: Kernel,
}

impl Bench {
    fn new(world: &World) -> Self {
        let (device, stream) = world.open();
        let affine = world.kernel(&device, "affine");
        Self {
            device,
            stream,
            affine,
        }
    }

    #[track_caller]
    fn refuses(&mut self, result: Result<(), Error>, words: &[&str]) {
        let error = result.expect_err("it was accepted");
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        let text = error.to_string();
        for word in words {
            assert!(text.contains(word), "no `{word}` in: {text}");
        }
        self.works();
    }

    #[track_caller]
    fn works(&mut self) {
        let x = self.stream.upload_new(&[1_u32; 4]).unwrap();
        self.stream
            .launch(&self.affine, 1, (&x, 2_u32, 3_u32))
            .unwrap();
        assert_eq!(self.stream.download(&x).unwrap().wait().unwrap(), [5; 4]);
    }
}

fn problem(error: &Error) -> &LaunchProblem {
    match error {
        Error::Stream(StreamError::Launch { problem, .. }) => problem,
        other => panic!("not about a launch: {other}"),
    }
}

pub(crate) fn wrong_arguments(world: &World) {
    let mut bench = Bench::new(world);
    let affine = bench.affine.clone();
    let x = bench.stream.zeros::<u32>(64).unwrap();
    let none = bench.stream.launch(&affine, 1, (1_u32, 2_u32));
    bench.refuses(none, &["affine", "1 buffers", "0 given"]);
    let two = bench.stream.launch(&affine, 1, (&x, &x, 1_u32, 2_u32));
    assert!(matches!(
        problem(two.as_ref().unwrap_err()),
        LaunchProblem::BufferCount {
            expected: 1,
            given: 2
        }
    ));
    bench.refuses(two, &["affine", "2 given"]);
    let nothing = bench.stream.launch(&affine, 1, ());
    bench.refuses(nothing, &["affine"]);
}

pub(crate) fn wrong_scalars(world: &World) {
    let mut bench = Bench::new(world);
    let affine = bench.affine.clone();
    let x = bench.stream.zeros::<u32>(64).unwrap();
    let one = bench.stream.launch(&affine, 1, (&x, 1_u32));
    bench.refuses(one, &["affine", "2 scalars", "1 given"]);
    let three = bench.stream.launch(&affine, 1, (&x, 1_u32, 2_u32, 3_u32));
    bench.refuses(three, &["affine", "3 given"]);
    let float = bench.stream.launch(&affine, 1, (&x, 1_u32, 2.0_f32));
    bench.refuses(float, &["affine", "`b`", "u32", "f32"]);
    let wide = bench.stream.launch(&affine, 1, (&x, 1_u64, 2_u32));
    bench.refuses(wide, &["affine", "`a`", "u64"]);
    let block = bench.stream.launch(&affine, 1, (&x, Block(&[1_u32; 3])));
    bench.refuses(block, &["affine", "8 bytes", "12 given"]);
    // A block is all scalars, even where the bytes would add up.
    let (half, whole) = (Block(&1_u32), Block(&[1_u32; 2]));
    let halves = bench.stream.launch(&affine, 1, (&x, half, half));
    bench.refuses(halves, &["affine", "2 scalars", "4 given"]);
    let beside = bench.stream.launch(&affine, 1, (&x, half, 1_u32));
    bench.refuses(beside, &["affine", "2 scalars", "3 given"]);
    let before = bench.stream.launch(&affine, 1, (&x, 1_u32, whole));
    bench.refuses(before, &["affine", "2 scalars", "3 given"]);
    let copy = world.kernel(&bench.device, "copy");
    let y = bench.stream.zeros::<u32>(64).unwrap();
    let extra = bench.stream.launch(&copy, 1, (&x, &y, 1_u32));
    bench.refuses(extra, &["copy", "0 scalars", "1 given"]);
    let extra = bench.stream.launch(&copy, 1, (&x, &y, whole, 1_u32));
    bench.refuses(extra, &["copy", "0 scalars", "2 given"]);
}

pub(crate) fn wrong_grids(world: &World) {
    let mut bench = Bench::new(world);
    let affine = bench.affine.clone();
    let x = bench.stream.zeros::<u32>(64).unwrap();
    for grid in [[0, 1, 1], [1, 0, 1], [1, 1, 0], [1, 1, u32::MAX]] {
        let result = bench.stream.launch(&affine, grid, (&x, 1_u32, 2_u32));
        assert!(matches!(
            problem(result.as_ref().unwrap_err()),
            LaunchProblem::Grid { .. }
        ));
        bench.refuses(result, &["affine", &format!("{grid:?}")]);
    }
}

pub(crate) fn aliases(world: &World) {
    let mut bench = Bench::new(world);
    let [copy, swap] = ["copy", "swap"].map(|it| world.kernel(&bench.device, it));
    let step = bench.device.capabilities().binding_align as usize / 4;
    let x = bench.stream.zeros::<u32>(4 * step).unwrap();
    let same = bench.stream.launch(&copy, 1, (&x, &x));
    bench.refuses(same, &["copy", "`x`", "`y`", "launch_aliased"]);
    let (low, high) = (x.slice(..step + 1).unwrap(), x.slice(step..).unwrap());
    let overlap = bench.stream.launch(&swap, 1, (low, high));
    bench.refuses(overlap, &["swap", "`x`", "`y`"]);
    let low = x.slice(..step).unwrap();
    bench.stream.launch(&swap, 1, (low, high)).unwrap();
}

pub(crate) fn short_and_misaligned_buffers(world: &World) {
    let mut bench = Bench::new(world);
    let affine = bench.affine.clone();
    let x = bench.stream.zeros::<u32>(64).unwrap();
    let empty = bench.device.buffer::<u32>(0).unwrap();
    let short = bench.stream.launch(&affine, 1, (&empty, 1_u32, 2_u32));
    bench.refuses(short, &["affine", "`x`", "0 given"]);
    let align = bench.device.capabilities().binding_align;
    if align > 4 {
        let odd = x.slice(1..).unwrap();
        let odd = bench.stream.launch(&affine, 1, (odd, 1_u32, 2_u32));
        bench.refuses(odd, &["affine", "`x`", "byte 4", &align.to_string()]);
    }
    let bytes = bench.device.buffer::<u8>(3).unwrap();
    let short = bench.stream.launch(&affine, 1, (&bytes, 1_u32, 2_u32));
    bench.refuses(short, &["affine", "`x`", "4 bytes", "3 given"]);
}

pub(crate) fn slices_out_of_range(world: &World) {
    let mut bench = Bench::new(world);
    let x = bench.stream.zeros::<u32>(10).unwrap();
    for result in [
        x.slice(5..11).map(|_| ()),
        x.slice(11..).map(|_| ()),
        x.slice(..=10).map(|_| ()),
        x.slice(..usize::MAX).map(|_| ()),
        x.slice(..=usize::MAX).map(|_| ()),
    ] {
        bench.refuses(result, &["40 bytes"]);
    }
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    let backwards = x.slice(7..3).map(|_| ());
    bench.refuses(backwards, &["40 bytes"]);
    let inner = x.slice(2..6).unwrap().slice(..5).map(|_| ());
    bench.refuses(inner, &["16 bytes"]);
    let long = bench.stream.upload(&x, &[0; 11]);
    bench.refuses(long, &["44", "40 bytes"]);
    let pending = bench.stream.download(&x).unwrap();
    let mut target = [7; 11];
    for len in [0, 9, 11] {
        let result = pending.wait_into(&mut target[..len]);
        bench.refuses(result, &["40", &(len * 4).to_string()]);
    }
    pending.wait_into(&mut target[..10]).unwrap();
    assert_eq!(target, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
}

pub(crate) fn copies_that_do_not_fit(world: &World) {
    let mut bench = Bench::new(world);
    let x = bench.stream.zeros::<u32>(10).unwrap();
    let y = bench.stream.zeros::<u32>(9).unwrap();
    let unequal = bench.stream.copy(&x, &y);
    bench.refuses(unequal, &["copy", "36", "40"]);
    let (low, high) = (x.slice(..6).unwrap(), x.slice(4..).unwrap());
    let overlap = bench.stream.copy(low, high);
    bench.refuses(overlap, &["share"]);
}

pub(crate) fn things_of_another_device(world: &World) {
    let mut bench = Bench::new(world);
    let (other, mut foreign) = world.open();
    let x = foreign.zeros::<u32>(64).unwrap();
    let own = bench.stream.zeros::<u32>(64).unwrap();
    let affine = bench.affine.clone();
    let words = ["buffer", "another device"];
    let result = bench.stream.launch(&affine, 1, (&x, 1_u32, 2_u32));
    bench.refuses(result, &words);
    let result = bench.stream.upload(&x, &[1; 64]);
    bench.refuses(result, &words);
    let result = bench.stream.download(&x).map(|_| ());
    bench.refuses(result, &words);
    let result = bench.stream.copy(&own, &x);
    bench.refuses(result, &words);
    let result = bench.stream.copy(&x, &own);
    bench.refuses(result, &words);
    let result = bench.stream.fill(&x, 1);
    bench.refuses(result, &words);
    let foreign_kernel = world.kernel(&other, "affine");
    let result = bench
        .stream
        .launch(&foreign_kernel, 1, (&own, 1_u32, 2_u32));
    bench.refuses(result, &["kernel", "another device"]);
    let event = other.event();
    let result = bench.stream.record(&event);
    bench.refuses(result, &["event", "another device"]);
    let result = bench.stream.wait(&event);
    bench.refuses(result, &["event", "another device"]);
    assert_eq!(world.read(&mut foreign, &x), [0; 64]);
}

pub(crate) fn names_that_do_not_exist(world: &World) {
    let device = world.device();
    let module = if world.compiles() {
        device
            .module_from_wgsl(&crate::kernels::wgsl("add"))
            .unwrap()
    } else {
        device.module_from_host(crate::world::twins())
    };
    let error = module.kernel("ad").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shader);
    let text = error.to_string();
    assert!(text.contains("`ad`") && text.contains("add"), "{text}");
}

pub(crate) fn sources_that_do_not_compile(world: &World) {
    if !world.compiles() {
        return;
    }
    let mut bench = Bench::new(world);
    for source in [
        "",
        "fn",
        "@compute @workgroup_size(1) fn main() { undeclared = 1; }",
        "@compute @workgroup_size(1) fn main() { let x: f32 = 1u; }",
        "enable f16; enable nonsense;",
        "\u{0}\u{ffff}",
    ] {
        let made = bench.device.module_from_wgsl(source);
        match made.map(|it| it.kernel("main")) {
            Err(error) | Ok(Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::Shader, "{error}");
                assert!(!error.to_string().is_empty());
            }
            Ok(Ok(_)) => panic!("accepted: {source}"),
        }
        bench.works();
    }
    let large = "@compute @workgroup_size(1024, 1024, 64) fn main() {}";
    let made = bench.device.module_from_wgsl(large);
    let error = made.and_then(|it| it.kernel("main")).unwrap_err();
    assert!(error.to_string().contains("workgroup"), "{error}");
    bench.works();
}

pub(crate) fn sources_for_another_backend(world: &World) {
    if !world.compiles() {
        return;
    }
    let mut bench = Bench::new(world);
    let module = if bench.device.capabilities().backend == "metal" {
        let wgsl = tidegate_shader::Module::from_wgsl(&crate::kernels::wgsl("add")).unwrap();
        let words = wgsl.spirv("add", &tidegate_shader::SpirvOptions::default());
        // SAFETY: valid SPIR-V, and nothing is launched.
        unsafe { bench.device.module_from_spirv(&words.unwrap()) }.unwrap()
    } else {
        let source = "kernel void add() {}";
        // SAFETY: nothing is launched.
        unsafe {
            bench
                .device
                .module_from_msl(source, vec![crate::world::interface("add")])
        }
    };
    let error = module.kernel("add").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shader, "{error}");
    let text = error.to_string();
    assert!(text.contains("SPIR-V") && text.contains("MSL"), "{text}");
    bench.works();
}
