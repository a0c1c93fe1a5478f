//! Attacks: kernels whose indices are as hostile as their caller likes. They reach nothing but what they were given.
//!
//! A part of a buffer is bound, and all around it lies a secret. After each launch the secret is whole, and what the kernel read holds none of it.

use tidegate::{Buffer, Device, Kernel, Stream};

use crate::world::World;

const SECRET: u32 = 0x5ec2_e75e;
const DIRT: u32 = 0xbad0_bad0;
/// Words of the buffer, and of its part that is bound: a multiple of every alignment from the start.
const WORDS: usize = 512;
const START: usize = 128;
const OUT: usize = 8;

/// First and second index, as a kernel takes them: just outside, far outside, and what overflows when it is multiplied by an element's size.
const HOSTILE: [[i32; 2]; 9] = [
    [-1, -1],
    [20, 21],
    [21, -2],
    [64, 3],
    [200, 100],
    [i32::MAX, i32::MIN],
    [i32::MIN, i32::MAX],
    [0x4000_0000, 0x1000_0000],
    [-0x4000_0000, 0x3fff_ffff],
];

/// An attack: what it declares, and what it does with the indices `s.a` and `s.b` of any value. It reads into `out[0..4]`, writes `DIRT` to `x`, and may say in `out[7]` that something is wrong.
struct Attack {
    name: &'static str,
    /// The type of the array that is bound, and its words.
    ty: &'static str,
    words: usize,
    declared: &'static str,
    body: &'static str,
}

const ATTACKS: &[Attack] = &[
    Attack {
        name: "array",
        ty: "array<u32>",
        words: 20,
        declared: "",
        body: "out[0] = x[s.a]; out[1] = x[s.a * s.b]; out[2] = x[s.a - s.b];
               x[s.b] = DIRT; x[s.a << 2u] = DIRT; x[1000] = DIRT; x[u32(s.a) + arrayLength(&x)] = DIRT;
               if arrayLength(&x) != 20u { out[7] = 1u; }",
    },
    Attack {
        name: "rows behind a header",
        ty: "Rows",
        words: 8 + 3 * 8,
        declared: "struct Row { v: vec3<u32>, n: array<u32, 2> } struct Rows { head: vec4<u32>, m: mat2x2<f32>, rows: array<Row> }",
        body: "out[0] = x.rows[s.a].v[s.b]; out[1] = x.rows[s.b].n[s.a]; out[2] = x.head[s.a]; out[3] = bitcast<u32>(x.m[s.a][s.b]);
               x.rows[s.b].v[s.a] = DIRT; x.rows[s.a].n[s.b] = DIRT; x.head[s.b] = DIRT; x.m[s.b][s.a] = 1.0;
               let row = &x.rows[s.b]; (*row).v = vec3(DIRT); x.rows[s.a] = x.rows[s.b];
               if arrayLength(&x.rows) != 3u { out[7] = 1u; }",
    },
    Attack {
        name: "array of a fixed size",
        ty: "array<array<u32, 5>, 4>",
        words: 20,
        declared: "",
        body: "out[0] = x[s.a][s.b]; x[s.b][s.a] = DIRT; let row = x[s.a]; out[1] = row[s.b]; var all = x; all[s.a][s.b] = DIRT; out[2] = all[s.b][s.a]; x = all;",
    },
    Attack {
        name: "atomics",
        ty: "array<atomic<u32>>",
        words: 20,
        declared: "",
        body: "out[0] = atomicLoad(&x[s.a]); out[1] = atomicAdd(&x[s.b], 1u); out[2] = atomicExchange(&x[s.a], DIRT);
               out[3] = atomicLoad(&x[1u << u32(s.b)]); atomicStore(&x[s.a + s.b], DIRT); atomicMax(&x[s.a], DIRT);",
    },
    Attack {
        name: "immediates",
        ty: "array<u32>",
        words: 20,
        declared: "",
        body: "out[0] = s.t[s.a].x; out[1] = s.t[s.b][s.a]; var t = s.t; out[2] = t[s.a][s.b]; x[s.a] = s.t[s.b].y;
               if any(vec3(out[0], out[1], out[2]) > vec3(3u)) { out[7] = 1u; }",
    },
    Attack {
        name: "workgroup, private and local memory",
        ty: "array<u32>",
        words: 20,
        declared: "var<workgroup> before: array<u32, 16>; var<workgroup> w: array<vec3<u32>, 5>; var<workgroup> after: array<u32, 16>;
                   var<private> p0: array<u32, 8>; var<private> p: array<u32, 8>; var<private> p1: array<u32, 8>;
                   fn through(it: ptr<function, array<u32, 8>>, at: i32) -> u32 { (*it)[at] = DIRT; return (*it)[at + 1]; }
                   fn by_value(it: array<u32, 8>, at: i32) -> u32 { return it[at]; }",
        body: "var l0 = array<u32, 8>(); var l = array<u32, 8>(); var l1 = array<u32, 8>();
               w[s.a][s.b] = DIRT; p[s.a] = DIRT; l[s.b] = DIRT; x[s.a] = DIRT;
               out[0] = w[s.b][s.a]; out[1] = p[s.b]; out[2] = l[s.a]; out[3] = through(&l, s.a) | by_value(l, s.b) | vec4(0u, 1u, 2u, 3u)[s.a];
               for (var i = 0u; i < 8u; i++) {
                   if (p0[i] | p1[i] | l0[i] | l1[i]) != 0u { out[7] = 1u; }
                   if (before[i] | before[i + 8u] | after[i] | after[i + 8u]) != 0u { out[7] = 2u; }
               }",
    },
];

/// The attack as WGSL. A kernel with a uniform block binds descriptors; without, it finds its buffers by address where the device can.
fn source(attack: &Attack, descriptors: bool) -> String {
    let Attack {
        ty, declared, body, ..
    } = attack;
    let (block, used) = match descriptors {
        true => (
            "@group(1) @binding(0) var<uniform> u: array<vec4<u32>, 2>;",
            "out[4] = u[s.a].x | u[s.b][s.a];",
        ),
        false => ("", ""),
    };
    format!(
        "const DIRT = {DIRT}u;
         struct Scalars {{ a: i32, b: i32, t: array<vec2<u32>, 3> }} var<immediate> s: Scalars;
         {declared}
         @group(0) @binding(0) var<storage, read_write> x: {ty};
         @group(0) @binding(1) var<storage, read_write> out: array<u32, {OUT}>;
         {block}
         @compute @workgroup_size(1) fn attack() {{ {body} {used} }}"
    )
}

struct Target {
    stream: Stream,
    all: Buffer<u32>,
    out: Buffer<u32>,
    uniform: Buffer<u32>,
}

impl Target {
    fn new(world: &World, device: &Device) -> Self {
        let mut stream = world.stream(device);
        Self {
            all: device.buffer(WORDS).unwrap(),
            out: stream.zeros(OUT).unwrap(),
            uniform: device.buffer(WORDS).unwrap(),
            stream,
        }
    }

    /// Launches an attack on a part that is all zeros. Gives all of the memory around and in it, and what was read.
    fn suffer(
        &mut self,
        world: &World,
        (kernel, descriptors): (&Kernel, bool),
        words: usize,
        [a, b]: [i32; 2],
    ) -> (Vec<u32>, Vec<u32>) {
        let part = START..START + words;
        let stream = &mut self.stream;
        stream.fill(&self.all, SECRET).unwrap();
        stream
            .fill(self.all.slice(part.clone()).unwrap(), 0)
            .unwrap();
        stream.fill(&self.uniform, SECRET).unwrap();
        let block = self.uniform.slice(START..START + 8).unwrap();
        stream.fill(block, 0).unwrap();
        stream.fill(&self.out, 0).unwrap();
        let x = self.all.slice(part).unwrap();
        let scalars = tidegate::Block(&[a, b, 1, 2, 3, 1, 2, 3]);
        match descriptors {
            true => stream.launch(kernel, 1, (x, &self.out, block, scalars)),
            false => stream.launch(kernel, 1, (x, &self.out, scalars)),
        }
        .unwrap();
        let all = world.read(stream, &self.all);
        (all, world.read(stream, &self.out))
    }
}

/// What an attack got hold of, in words.
fn damage(all: &[u32], out: &[u32], words: usize) -> Option<String> {
    let part = START..START + words;
    let hit = all.iter().enumerate();
    let mut hit = hit.filter(|(at, it)| !part.contains(at) && **it != SECRET);
    if let Some((at, word)) = hit.next() {
        return Some(format!("word {at}, outside of {part:?}, became {word:#x}"));
    }
    if all[part].contains(&SECRET) || out[..OUT - 1].contains(&SECRET) {
        return Some(format!("it read the secret: {out:x?}"));
    }
    (out[OUT - 1] != 0).then(|| format!("memory of its own that it did not name changed: {out:x?}"))
}

pub(crate) fn hostile_indices_reach_nothing_else(world: &World) {
    if !world.compiles() {
        return;
    }
    let device = world.device();
    let mut target = Target::new(world, &device);
    for attack in ATTACKS {
        for descriptors in [false, true] {
            let source = source(attack, descriptors);
            let module = device.module_from_wgsl(&source);
            let module = module.unwrap_or_else(|it| panic!("{}: {it}", attack.name));
            let kernel = module.kernel("attack").unwrap();
            for indices in HOSTILE {
                let (all, out) =
                    target.suffer(world, (&kernel, descriptors), attack.words, indices);
                if let Some(damage) = damage(&all, &out, attack.words) {
                    panic!(
                        "{}, descriptors {descriptors}, {indices:?}: {damage}",
                        attack.name
                    );
                }
            }
        }
    }
}

/// The attacks are real: a kernel that nothing checks does the damage, here within memory that this test owns.
pub(crate) fn an_unchecked_kernel_does_the_damage(world: &World) {
    if !world.compiles() {
        return;
    }
    let device = world.device();
    let mut target = Target::new(world, &device);
    let attack = &Attack {
        name: "near",
        ty: "array<u32>",
        words: 20,
        declared: "",
        body: "out[0] = x[s.a]; x[s.b] = DIRT;",
    };
    let source = source(attack, false);
    // SAFETY: both indices lie inside the buffer around the part that is bound.
    let trusted = unsafe { device.module_from_trusted_wgsl(&source) };
    let checked = device.module_from_wgsl(&source);
    for (module, harmed) in [(trusted, true), (checked, false)] {
        let kernel = module.unwrap().kernel("attack").unwrap();
        let (all, out) = target.suffer(world, (&kernel, false), attack.words, [24, 28]);
        assert_eq!(damage(&all, &out, attack.words).is_some(), harmed);
        let dirt = all.iter().position(|it| *it == DIRT).unwrap() - START;
        assert_eq!((dirt, out[0]), if harmed { (28, SECRET) } else { (19, 0) });
    }
}

/// Workgroup memory begins as zeros, whatever an earlier kernel left there.
pub(crate) fn workgroup_memory_tells_nothing_of_earlier_kernels(world: &World) {
    if !world.compiles() {
        return;
    }
    let (device, mut stream) = world.open();
    let source = format!(
        "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
         var<workgroup> w: array<u32, 128>;
         @compute @workgroup_size(64) fn leave(@builtin(local_invocation_index) l: u32) {{
             for (var i = l; i < 128u; i += 64u) {{ w[i] = {SECRET}u; }}
             workgroupBarrier();
             x[l] = w[l * 2u];
         }}
         @compute @workgroup_size(64) fn look(@builtin(local_invocation_index) l: u32) {{
             var seen = 0u;
             for (var i = l; i < 128u; i += 64u) {{ seen |= w[i]; }}
             x[l] = seen;
         }}"
    );
    let module = device.module_from_wgsl(&source).unwrap();
    let [leave, look] = ["leave", "look"].map(|it| module.kernel(it).unwrap());
    let x = stream.zeros::<u32>(64).unwrap();
    for _ in 0..4 {
        stream.launch(&leave, 8, (&x,)).unwrap();
        assert_eq!(world.read(&mut stream, &x), [SECRET; 64]);
        stream.launch(&look, 8, (&x,)).unwrap();
        assert_eq!(world.read(&mut stream, &x), [0; 64]);
    }
}

/// What cannot be checked is refused, and nothing of it reaches the driver.
pub(crate) fn what_cannot_be_checked_is_refused(world: &World) {
    if !world.compiles() {
        return;
    }
    let device = world.device();
    let source = "
        @group(0) @binding(0) var<storage, read_write> x: array<u32>;
        var<immediate> at: u64;
        @compute @workgroup_size(1) fn wide() { x[at] = 1u; }";
    let error = device.module_from_wgsl(source).unwrap().kernel("wide");
    let error = error.unwrap_err();
    assert_eq!(error.kind(), tidegate::ErrorKind::Shader, "{error}");
    assert!(error.to_string().contains("32 bits"), "{error}");
}
