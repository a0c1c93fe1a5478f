//! What is told of a kernel, how its constants are set, and what is said of mistakes.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use tidegate_shader::{
    Access, Binding, BindingKind, BoundsChecks, Feature, Kernel, Module, MslBuffer, MslOptions,
    MslSizes, Required, Scalar, ScalarKind, Scalars, ScalarsLocation, ShaderError, SpirvOptions,
};

fn module(source: &str) -> Module {
    Module::from_wgsl(source).unwrap_or_else(|error| panic!("{error}"))
}

fn access(module: &Module, kernel: &str) -> Vec<Access> {
    module
        .kernel(kernel)
        .unwrap()
        .bindings
        .iter()
        .map(|binding| binding.access)
        .collect()
}

#[test]
fn access_is_as_narrow_as_can_be_proven() {
    let module = module(
        "@group(0) @binding(0) var<storage, read_write> data: array<u32>;
         @group(0) @binding(1) var<storage, read_write> count: atomic<u32>;
         fn put(value: u32) { data[0] = value; }
         fn take() -> u32 { return data[1]; }
         @compute @workgroup_size(1) fn only_reads() { _ = take(); atomicStore(&count, data[0]); }
         @compute @workgroup_size(1) fn only_writes() { put(3u); }
         @compute @workgroup_size(1) fn both() { put(take()); }
         @compute @workgroup_size(1) fn adds() { data[2] += 1u; }
         @compute @workgroup_size(1) fn atomics() { atomicAdd(&count, 1u); }
         @compute @workgroup_size(1) fn loads() { put(atomicLoad(&count)); }
         @compute @workgroup_size(1) fn asks() { atomicStore(&count, arrayLength(&data)); }
         @compute @workgroup_size(1) fn nothing() {}
         @compute @workgroup_size(1) fn one_word() { let p = &data[0]; *p = 1u; }",
    );
    use Access::{Read, ReadWrite, Write};
    assert_eq!(access(&module, "only_reads"), [Read, Write]);
    assert_eq!(access(&module, "only_writes"), [Write]);
    assert_eq!(access(&module, "both"), [ReadWrite]);
    assert_eq!(access(&module, "adds"), [ReadWrite]);
    assert_eq!(access(&module, "atomics"), [ReadWrite]);
    assert_eq!(access(&module, "loads"), [Write, Read]);
    assert_eq!(access(&module, "asks"), [Read, Write]);
    assert_eq!(access(&module, "nothing"), []);
    assert_eq!(access(&module, "one_word"), [Write]);
}

#[test]
fn a_bare_scalar_and_a_vector_count_as_one_member() {
    let module = module(
        "var<immediate> scale: vec3<f32>;
         @group(0) @binding(0) var<storage, read_write> out: array<f32>;
         @compute @workgroup_size(1) fn k() { out[0] = scale.y; }",
    );
    let scalars = module.kernels()[0].scalars.clone().unwrap();
    let member = Scalar {
        name: "scale".to_owned(),
        offset: 0,
        bytes: 12,
        kind: ScalarKind::F32,
    };
    assert_eq!(scalars.location, ScalarsLocation::Immediates);
    assert_eq!(scalars.members, [member]);
    assert!(scalars.bytes >= 12);
}

#[test]
fn what_cannot_be_flattened_has_bytes_only() {
    let module = module(
        "struct Shape { rank: u32, extents: array<vec4<u32>, 3> }
         @group(0) @binding(0) var<uniform> shape: Shape;
         @group(0) @binding(1) var<storage, read_write> out: array<u32>;
         @compute @workgroup_size(1) fn k() { out[0] = shape.extents[1].x; }",
    );
    let location = ScalarsLocation::Uniform {
        group: 0,
        binding: 0,
    };
    assert_eq!(
        module.kernels()[0].scalars,
        Some(Scalars {
            location,
            bytes: 64,
            members: Vec::new()
        })
    );
}

#[test]
fn uniforms_are_not_scalars_beside_immediates_or_each_other() {
    let module = module(
        "var<immediate> n: u32;
         @group(0) @binding(0) var<uniform> a: u32;
         @group(0) @binding(1) var<uniform> b: u32;
         @group(0) @binding(2) var<storage, read_write> out: array<u32>;
         @compute @workgroup_size(1) fn pushed() { out[0] = n + a; }
         @compute @workgroup_size(1) fn two() { out[0] = a + b; }
         @compute @workgroup_size(1) fn one() { out[0] = b; }",
    );
    let location = |kernel| {
        module
            .kernel(kernel)
            .unwrap()
            .scalars
            .as_ref()
            .map(|scalars| scalars.location)
    };
    assert_eq!(location("pushed"), Some(ScalarsLocation::Immediates));
    assert_eq!(location("two"), None);
    assert_eq!(
        location("one"),
        Some(ScalarsLocation::Uniform {
            group: 0,
            binding: 1
        })
    );
    let one = module.msl("one", &MslOptions::default()).unwrap();
    assert_eq!(one.scalars_slot, Some(0));
}

#[test]
fn a_kernel_requires_what_it_uses_and_not_what_its_neighbour_uses() {
    let module = module(
        "enable f16;
         @group(0) @binding(0) var<storage, read_write> out: array<f32>;
         @group(0) @binding(1) var<storage, read_write> halves: array<f16>;
         @group(0) @binding(2) var<storage, read_write> longs: array<u64>;
         @group(0) @binding(3) var<storage, read_write> sum: atomic<f32>;
         @compute @workgroup_size(1) fn plain() { out[0] = 1.0; }
         @compute @workgroup_size(1) fn half() { halves[0] = f16(out[0]); }
         @compute @workgroup_size(1) fn long() { longs[0] += 1lu; }
         @compute @workgroup_size(1) fn float_atomic() { atomicAdd(&sum, 1.0); }
         @compute @workgroup_size(1) fn shuffle() { out[0] = subgroupShuffleXor(out[0], 1u); subgroupBarrier(); }",
    );
    assert!(module.required("plain").unwrap().is_empty());
    assert!(module.required("half").unwrap().contains(Feature::F16));
    assert!(
        module
            .required("half")
            .unwrap()
            .contains(Feature::Storage16)
    );
    assert_eq!(
        module.required("long").unwrap().iter().collect::<Vec<_>>(),
        [Feature::I64]
    );
    assert!(
        module
            .required("float_atomic")
            .unwrap()
            .contains(Feature::F32AtomicAdd)
    );
    assert!(
        module
            .required("shuffle")
            .unwrap()
            .contains(Feature::SubgroupShuffle)
    );
    let offered: Required = [Feature::F16].into_iter().collect();
    assert_eq!(
        module
            .required("long")
            .unwrap()
            .missing(&offered)
            .to_string(),
        "64-bit integers"
    );
    assert!(matches!(
        module.required("none"),
        Err(ShaderError::UnknownKernel { .. })
    ));
}

#[test]
fn what_no_kernel_uses_leaves_no_trace() {
    let module = module(
        "enable f16;
         @group(0) @binding(0) var<storage, read_write> unused: array<f16>;
         @group(0) @binding(1) var<storage, read_write> out: array<f32>;
         fn idle() -> f16 { return unused[0]; }
         @compute @workgroup_size(1) fn k() { out[0] = 1.0; }",
    );
    assert!(module.required("k").unwrap().is_empty());
    let msl = module.msl("k", &MslOptions::default()).unwrap();
    assert_eq!(
        msl.buffers,
        [MslBuffer {
            group: 0,
            binding: 1,
            slot: 0
        }]
    );
    assert_eq!(
        msl.sizes,
        Some(MslSizes {
            slot: 1,
            bindings: vec![(0, 1)]
        })
    );
    assert!(!msl.source.contains("half"), "{}", msl.source);
}

#[test]
fn constants_give_one_source_several_shapes() {
    let source = "override width: u32; @id(7) override height: u32 = 2u; override unused: f32;
         var<workgroup> shared_: array<f32, width * 4u>;
         @group(0) @binding(0) var<storage, read_write> out: array<f32>;
         @compute @workgroup_size(width, height) fn k() { out[0] = shared_[1]; }
         @compute @workgroup_size(1) fn free() { out[0] = 1.0; }";
    let open = module(source);
    assert_eq!(
        open.kernels()
            .iter()
            .map(|kernel| kernel.name.as_str())
            .collect::<Vec<_>>(),
        ["free"]
    );
    let error = open.spirv("k", &SpirvOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "kernel `k`: the constant `width` has no value"
    );

    let wide = open.with_constants(&[("width", 64.0)]).unwrap();
    let kernel = wide.kernel("k").unwrap();
    assert_eq!(
        (kernel.workgroup_size, kernel.workgroup_bytes),
        ([64, 2, 1], 1024)
    );
    let tall = wide.with_constants(&[("7", 8.0)]).unwrap();
    assert_eq!(tall.kernel("k").unwrap().workgroup_size, [64, 8, 1]);
    assert_eq!(wide.kernel("k").unwrap().workgroup_size, [64, 2, 1]);
    assert_eq!(
        tall.msl("k", &MslOptions::default())
            .unwrap()
            .threadgroup_bytes,
        [1024]
    );

    let error = open.with_constants(&[("depth", 1.0)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no constant is named `depth`; there are `width`, `7`, `unused`"
    );
    for value in [0.0, -1.0, 1e30, f64::NAN, f64::INFINITY] {
        assert!(open.with_constants(&[("width", value)]).is_err(), "{value}");
    }
}

#[test]
fn options_change_what_is_written() {
    let module = module(include_str!("in/reduce.wgsl"));
    let spirv = |options: &SpirvOptions| module.spirv("reduce", options).unwrap();
    let unchecked = SpirvOptions::new(BoundsChecks::Unchecked);
    let zeroed = SpirvOptions {
        zero_workgroup_memory: true,
        ..unchecked.clone()
    };
    assert!(spirv(&unchecked).len() < spirv(&zeroed).len());
    assert!(spirv(&zeroed).len() < spirv(&SpirvOptions::default()).len());
    assert_eq!(
        spirv(&SpirvOptions {
            version: (1, 5),
            ..unchecked
        })[1],
        0x0001_0500
    );
    let plain = MslOptions::new(BoundsChecks::Unchecked);
    assert!(
        !module
            .msl("reduce", &plain)
            .unwrap()
            .source
            .contains("min(unsigned")
    );
    let ancient = MslOptions {
        version: (1, 0),
        ..plain
    };
    assert!(matches!(
        module.msl("reduce", &ancient),
        Ok(_) | Err(ShaderError::Emit { .. })
    ));
}

/// The device zeroes workgroup memory by itself where it can: what is written does not grow with the memory.
#[test]
fn a_device_that_zeroes_is_left_to_it() {
    let source = include_str!("in/reduce.wgsl");
    let whole = module(source);
    let words = |device_zeroes| {
        let options = SpirvOptions {
            device_zeroes,
            ..SpirvOptions::default()
        };
        whole.spirv("reduce", &options).unwrap()
    };
    // `OpVariable` in storage class Workgroup with an initial value is five words long.
    let initialized = |words: &[u32]| {
        let mut rest = &words[5..];
        let mut found = 0;
        while let [head, ..] = *rest {
            let (opcode, length) = (head & 0xffff, (head >> 16) as usize);
            found += usize::from(opcode == 59 && length == 5 && rest[3] == 4);
            rest = &rest[length..];
        }
        found
    };
    let (by_device, by_kernel) = (words(true), words(false));
    assert_eq!((initialized(&by_device), initialized(&by_kernel)), (1, 0));
    assert!(by_device.len() < by_kernel.len());
    let trusted = SpirvOptions {
        device_zeroes: true,
        ..SpirvOptions::new(BoundsChecks::Unchecked)
    };
    assert_eq!(initialized(&whole.spirv("reduce", &trusted).unwrap()), 0);
}

#[test]
fn metal_slots_are_told() {
    let module = module(include_str!("in/layout.wgsl"));
    let msl = module.msl("advance", &MslOptions::default()).unwrap();
    let buffer = |group, binding, slot| MslBuffer {
        group,
        binding,
        slot,
    };
    assert_eq!(
        msl.buffers,
        [buffer(0, 1, 0), buffer(0, 4, 1), buffer(2, 0, 2)]
    );
    assert_eq!(msl.scalars_slot, Some(3));
    // In order of declaration, which is not that of the bindings.
    assert_eq!(
        msl.sizes,
        Some(MslSizes {
            slot: 4,
            bindings: vec![(0, 4), (0, 1)]
        })
    );
}

/// The slots are those of the buffers, of the immediates and of the lengths of arrays, which only a kernel that asks for one has.
#[test]
fn metal_has_31_slots() {
    let kernel = |buffers: u32, immediates: bool, lengths: bool| {
        let declared = (0..buffers).map(|it| {
            format!("@group(0) @binding({it}) var<storage, read_write> b{it}: array<u32, 4>;")
        });
        let used = (0..buffers).map(|it| format!("b{it}[0] += 1u;"));
        let mut source: String = declared.collect();
        let mut body: String = used.collect();
        if immediates {
            source += "var<immediate> n: u32;";
            body += "b0[1] = n;";
        }
        if lengths {
            source = source.replacen("array<u32, 4>", "array<u32>", 1);
            body += "b0[2] = arrayLength(&b0);";
        }
        let module = module(&format!(
            "{source} @compute @workgroup_size(1) fn k() {{ {body} }}"
        ));
        module.msl("k", &MslOptions::default())
    };
    for (buffers, immediates, lengths) in [(31, false, false), (30, true, false), (29, true, true)]
    {
        let msl = kernel(buffers, immediates, lengths).unwrap();
        let slots = msl.buffers.iter().map(|it| it.slot);
        let slots = slots.chain(msl.scalars_slot);
        let slots: Vec<u32> = slots.chain(msl.sizes.map(|it| it.slot)).collect();
        assert_eq!(slots, (0..31).collect::<Vec<_>>());
        let error = kernel(buffers + 1, immediates, lengths).unwrap_err();
        assert!(matches!(error, ShaderError::Emit { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("31 buffer slots"), "{text}");
    }
}

#[test]
fn metal_source_is_taken_as_it_is() {
    let binding = |number| Binding {
        group: 0,
        binding: number,
        name: String::new(),
        kind: BindingKind::Storage,
        access: Access::Read,
        bytes_min: 4,
        stride: Some(4),
        align: 4,
    };
    let kernel = |count| Kernel {
        name: "k".to_owned(),
        workgroup_size: [1; 3],
        bindings: (0..count).map(binding).collect(),
        scalars: Some(Scalars {
            location: ScalarsLocation::Immediates,
            bytes: 4,
            members: Vec::new(),
        }),
        workgroup_bytes: 0,
        required: Required::default(),
    };
    let module = Module::from_msl("kernel void k() {}", vec![kernel(2)]);
    let msl = module.msl("k", &MslOptions::default()).unwrap();
    assert_eq!(
        (
            msl.entry_point.as_str(),
            msl.scalars_slot,
            msl.buffers[1].slot
        ),
        ("k", Some(2), 1)
    );
    let error = module.spirv("k", &SpirvOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the module was given as MSL, and cannot be turned into SPIR-V"
    );
    let full = Module::from_msl("", vec![kernel(31)])
        .msl("k", &MslOptions::default())
        .unwrap_err();
    assert!(full.to_string().contains("31 buffer slots"), "{full}");
}

#[test]
fn a_mistake_is_shown_where_it_is() {
    let error = Module::from_wgsl("@compute @workgroup_size(1)\nfn k() { let x = ; }").unwrap_err();
    let ShaderError::Parse { line, column, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((*line, *column), (2, 18));
    let shown = error.to_string();
    assert!(
        shown.contains("fn k() { let x = ; }") && shown.contains('^'),
        "{shown}"
    );
    assert!(!shown.contains('\u{1b}'), "no colours");

    let error = Module::from_wgsl(
        "@group(0) @binding(0) var<storage, read> x: array<u32>;\n@compute @workgroup_size(1)\nfn k() { x[0] = 1u; }",
    )
    .unwrap_err();
    let ShaderError::Invalid { line, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*line, 3);
    assert!(error.to_string().contains("x[0] = 1u"), "{error}");
}

#[test]
fn what_is_not_a_buffer_is_refused_by_name() {
    let error = Module::from_wgsl(
        "@group(0) @binding(0) var image: texture_2d<f32>;
         @group(0) @binding(1) var<storage, read_write> out: array<f32>;
         @compute @workgroup_size(1) fn k() { out[0] = textureLoad(image, vec2(0, 0), 0).x; }",
    )
    .unwrap_err();
    assert!(
        matches!(&error, ShaderError::UnsupportedBinding { kernel, name, .. } if kernel == "k" && name == "image")
    );
}

#[test]
fn unknown_kernels_are_answered_with_the_known() {
    let module = module(include_str!("in/saxpy.wgsl"));
    let error = module.spirv("sacpy", &SpirvOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no kernel is named `sacpy`; there are `saxpy`, `clear`"
    );
    let error = Module::from_wgsl("")
        .unwrap()
        .msl("k", &MslOptions::default())
        .unwrap_err();
    assert_eq!(error.to_string(), "no kernel is named `k`; there are none");
}
