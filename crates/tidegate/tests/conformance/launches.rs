//! Launches and their arguments.

use tidegate::{Argument, Grid};

use crate::world::World;

pub(crate) fn a_chain_takes_effect_in_order(world: &World) {
    let (device, mut stream) = world.open();
    let affine = world.kernel(&device, "affine");
    let x = stream.upload_new(&vec![1_u32; 300]).unwrap();
    let mut want = 1_u32;
    for step in 0..262_u32 {
        let (a, b) = (step | 1, step);
        stream
            .launch(&affine, affine.grid_for(300), (&x, a, b))
            .unwrap();
        want = want.wrapping_mul(a).wrapping_add(b);
    }
    assert_eq!(world.read(&mut stream, &x), [want; 300]);
}

/// Many launches of one batch, each with its own scalars: none may see another's.
pub(crate) fn scalars_belong_to_their_launch(world: &World) {
    let (device, mut stream) = world.open();
    let index = world.kernel(&device, "fill_index");
    let uniform = world.kernel(&device, "affine_uniform");
    let buffers: Vec<_> = (0..40).map(|_| device.buffer::<u32>(70).unwrap()).collect();
    for (at, x) in (0_u32..).zip(&buffers) {
        stream.launch(&index, 2, (x, at * 1000)).unwrap();
    }
    for (at, x) in (0_u32..).zip(&buffers) {
        stream.launch(&uniform, 2, (x, 3_u32, at)).unwrap();
    }
    for (at, x) in (0_u32..).zip(&buffers) {
        let want: Vec<u32> = (0..70).map(|i| (at * 1000 + i) * 3 + at).collect();
        assert_eq!(world.read(&mut stream, x), want);
    }
}

pub(crate) fn grids_of_every_shape(world: &World) {
    let (device, mut stream) = world.open();
    let index = world.kernel(&device, "fill_index");
    assert_eq!(index.name(), "fill_index");
    assert_eq!(index.workgroup_size(), [64, 1, 1]);
    assert_eq!(index.grid_for(65), Grid([2, 1, 1]));
    let x = stream.zeros::<u32>(200).unwrap();
    // Workgroups along y and z do the same again.
    stream.launch(&index, 1, (&x, 1_u32)).unwrap();
    assert_eq!(world.read(&mut stream, &x)[62..66], [63, 64, 0, 0]);
    stream.launch(&index, [2, 3], (&x, 2_u32)).unwrap();
    assert_eq!(world.read(&mut stream, &x)[126..130], [128, 129, 0, 0]);
    stream.launch(&index, [4, 1, 2], (&x, 3_u32)).unwrap();
    assert_eq!(world.read(&mut stream, &x)[199], 202);
}

pub(crate) fn slices_are_bound_where_they_lie(world: &World) {
    let (device, mut stream) = world.open();
    let index = world.kernel(&device, "fill_index");
    let step = device.capabilities().binding_align as usize / 4;
    let x = stream.zeros::<u32>(4 * step + 8).unwrap();
    for at in [3, 0, 2] {
        let slice = x.slice(at * step..at * step + 4).unwrap();
        stream.launch(&index, 1, (slice, at as u32 * 10)).unwrap();
    }
    let mut want = vec![0; 4 * step + 8];
    for at in [0, 2, 3] {
        for i in 0..4 {
            want[at * step + i] = (at * 10 + i) as u32;
        }
    }
    assert_eq!(world.read(&mut stream, &x), want);
}

pub(crate) fn kernels_with_several_buffers(world: &World) {
    let (device, mut stream) = world.open();
    let [add, copy, swap, sum] =
        ["add", "copy", "swap", "block_sum"].map(|it| world.kernel(&device, it));
    let x = stream.upload_new(&(0..256).collect::<Vec<u32>>()).unwrap();
    let y = stream.upload_new(&vec![5_u32; 256]).unwrap();
    let z = device.buffer::<u32>(256).unwrap();
    let sums = device.buffer::<u32>(4).unwrap();
    stream.launch(&add, 4, (&x, &y, &z)).unwrap();
    stream.launch(&copy, 4, (&z, &y)).unwrap();
    stream.launch(&swap, 4, (&x, &z)).unwrap();
    stream.launch(&sum, 4, (&x, &sums)).unwrap();
    let want: Vec<u32> = (5..261).collect();
    assert_eq!(world.read(&mut stream, &y), want);
    assert_eq!(world.read(&mut stream, &x), want);
    assert_eq!(world.read(&mut stream, &z), (0..256).collect::<Vec<u32>>());
    let blocks: Vec<u32> = want.chunks(64).map(|it| it.iter().sum()).collect();
    assert_eq!(world.read(&mut stream, &sums), blocks);
}

/// Scalars and buffers go by group and binding, whatever order the source has, and each array keeps its own length.
pub(crate) fn a_uniform_may_be_bound_before_the_buffers(world: &World) {
    let (device, mut stream) = world.open();
    let into = world.kernel(&device, "affine_into");
    let x: Vec<u32> = (10..110).collect();
    let x = stream.upload_new(&x).unwrap();
    // The longer one first: lengths that are mixed up then read too far, and later ones would write there.
    for (length, a) in [(200, 5), (70, 3), (100, 7)] {
        let y = stream.upload_new(&vec![u32::MAX; length]).unwrap();
        stream.launch(&into, 4, (&x, &y, a, 9_u32)).unwrap();
        let want: Vec<u32> = (10..10 + length as u32)
            .map(|it| if it < 110 { it * a + 9 } else { 9 })
            .collect();
        assert_eq!(world.read(&mut stream, &y), want);
    }
}

pub(crate) fn arguments_made_at_run_time(world: &World) {
    let (device, mut stream) = world.open();
    let affine = world.kernel(&device, "affine");
    let x = stream.upload_new(&[1_u32, 2, 3, 4]).unwrap();
    let arguments: Vec<&dyn Argument> = vec![&x, &10_u32, &7_u32];
    stream.launch(&affine, 1, arguments.as_slice()).unwrap();
    assert_eq!(world.read(&mut stream, &x), [17, 27, 37, 47]);
    let block = [2_u32, 1];
    stream
        .launch(&affine, 1, (&x, tidegate::Block(&block)))
        .unwrap();
    assert_eq!(world.read(&mut stream, &x), [35, 55, 75, 95]);
}

pub(crate) fn aliases_are_allowed_when_they_are_meant(world: &World) {
    let (device, mut stream) = world.open();
    let add = world.kernel(&device, "add");
    let x = stream.upload_new(&[1_u32, 2, 3, 4]).unwrap();
    let y = device.buffer::<u32>(4).unwrap();
    // Read twice: no harm in it.
    stream.launch(&add, 1, (&x, &x, &y)).unwrap();
    // Each invocation reads and writes its own element only.
    stream.launch_aliased(&add, 1, (&x, &y, &y)).unwrap();
    assert_eq!(world.read(&mut stream, &y), [3, 6, 9, 12]);
}

pub(crate) fn constants_are_replaced(world: &World) {
    if !world.compiles() {
        return;
    }
    let (device, mut stream) = world.open();
    let source = "override by: u32 = 2;
        @group(0) @binding(0) var<storage, read_write> x: array<u32>;
        @compute @workgroup_size(4) fn scale(@builtin(local_invocation_index) i: u32) { x[i] *= by; }";
    let module = device.module_from_wgsl(source).unwrap();
    assert_eq!(module.kernels(), ["scale"]);
    let by_two = module.kernel("scale").unwrap();
    let by_ten = module.with_constants(&[("by", 10.0)]).unwrap();
    let by_ten = by_ten.kernel("scale").unwrap();
    let x = stream.upload_new(&[1_u32, 2, 3, 4]).unwrap();
    stream.launch(&by_two, 1, (&x,)).unwrap();
    stream.launch(&by_ten, 1, (&x,)).unwrap();
    assert_eq!(world.read(&mut stream, &x), [20, 40, 60, 80]);
    assert!(module.with_constants(&[("other", 1.0)]).is_err());
}

/// As WGSL promises, also of an array that is large: to store thousands of zeros one by one can take a driver's compiler minutes.
pub(crate) fn workgroup_memory_starts_as_zeros(world: &World) {
    if !world.compiles() {
        return;
    }
    let (device, mut stream) = world.open();
    let source = "
        @group(0) @binding(0) var<storage, read_write> sums: array<u32>;
        var<workgroup> part: array<u32, 4096>;
        @compute @workgroup_size(64) fn dirty(
            @builtin(workgroup_id) group: vec3<u32>,
            @builtin(local_invocation_index) i: u32)
        { var sum = 0u;
          for (var k = i; k < 4096u; k += 64u) { sum |= part[k]; part[k] = 7u; }
          sums[group.x * 64u + i] += sum; }";
    let module = device.module_from_wgsl(source).unwrap();
    let dirty = module.kernel("dirty").unwrap();
    let sums = stream.upload_new(&[0_u32; 256]).unwrap();
    for _ in 0..3 {
        stream.launch(&dirty, 4, (&sums,)).unwrap();
    }
    assert_eq!(world.read(&mut stream, &sums), [0; 256]);
}

const STRUCTURES: &str = "
    struct Inner { a: vec3<u32>, b: array<u32, 3> }
    struct Item { at: vec2<u32>, turn: mat2x2<f32>, inner: Inner, rest: array<Inner, 2> }
    struct Plain { n: array<u32, 4> }
    @group(0) @binding(0) var<storage, read_write> x: array<Item>;
    @group(0) @binding(1) var<storage, read_write> y: Plain;
    var<workgroup> items: array<Item, 4>;
    var<workgroup> plain: array<array<u32, 4>, 4>;
    var<private> mine: Inner;
    fn changed(it: Item, i: u32) -> Item {
        var own = it;
        own.inner.b[i % 3u] += 1u;
        own.rest[i % 2u].a.y *= 2u;
        own.turn[1].x *= 2.0;
        return own;
    }
    @compute @workgroup_size(4) fn travel(@builtin(local_invocation_index) i: u32) {
        var item = x[i];
        item = changed(item, i);
        items[i] = item;
        plain[i] = y.n;
        workgroupBarrier();
        mine = items[3u - i].inner;
        mine.a.x += 7u;
        x[i] = items[3u - i];
        x[i].inner = mine;
        if i == 0u {
            var all = y;
            all.n = plain[1];
            all.n[2] += 5u;
            y = all;
        }
    }";

/// Values whose types stand in buffers, in workgroup memory and in variables, of which only the first have a layout.
pub(crate) fn structures_go_from_buffers_to_variables_and_back(world: &World) {
    if !world.compiles() {
        return;
    }
    let (device, mut stream) = world.open();
    const WORDS: usize = 32;
    // In words: `at` at 0, `turn` at 2, `inner` at 8, `rest` at 16 and 24, and in each of those `a` at 0 and `b` at 3. The others are padding.
    let is_padding = |word: usize| matches!(word % WORDS, 6 | 7 | 14 | 15 | 22 | 23 | 30 | 31);
    let item = |i: u32| {
        let words = (0..WORDS as u32).map(|it| 1000 * i + it);
        let mut words: Vec<u32> = words.collect();
        for (word, value) in (2..6).zip(1_u8..) {
            words[word] = (f32::from(value) + i as f32).to_bits();
        }
        words
    };
    let x: Vec<u32> = (0..4).flat_map(item).collect();
    let x = stream.upload_new(&x).unwrap();
    let y = stream.upload_new(&[1_u32, 2, 3, 4]).unwrap();
    let travel = device
        .module_from_wgsl(STRUCTURES)
        .unwrap()
        .kernel("travel");
    stream.launch(&travel.unwrap(), 1, (&x, &y)).unwrap();
    let mut want = Vec::new();
    for from in (0..4).rev() {
        let mut item = item(from);
        item[8 + 3 + from as usize % 3] += 1;
        item[16 + 8 * (from as usize % 2) + 1] *= 2;
        item[4] = (f32::from_bits(item[4]) * 2.0).to_bits();
        item[8] += 7;
        want.extend(item);
    }
    let got = world.read(&mut stream, &x);
    let told = |words: &[u32]| -> Vec<u32> {
        let words = words.iter().enumerate();
        words
            .filter(|it| !is_padding(it.0))
            .map(|it| *it.1)
            .collect()
    };
    assert_eq!(told(&got), told(&want));
    assert_eq!(world.read(&mut stream, &y), [1, 2, 8, 4]);
}
