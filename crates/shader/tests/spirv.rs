//! SPIR-V given as it is.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::Path;

use tidegate_shader::{
    Access, BindingKind, BoundsChecks, Feature, Module, MslOptions, ScalarKind, ScalarsLocation,
    ShaderError, SpirvOptions,
};

/// Two readers that share no code must tell the same of one kernel: naga's validator of the WGSL, and ours of the
/// SPIR-V that naga writes from it.
#[test]
fn what_wgsl_tells_its_spirv_tells_too() {
    let mut kernels = 0;
    for input in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/in")).unwrap() {
        let module =
            Module::from_wgsl(&fs::read_to_string(input.unwrap().path()).unwrap()).unwrap();
        for kernel in module.kernels() {
            for bounds_checks in [BoundsChecks::Checked, BoundsChecks::Unchecked] {
                let options = SpirvOptions {
                    debug_names: true,
                    ..SpirvOptions::new(bounds_checks)
                };
                let words = module.spirv(&kernel.name, &options).unwrap();
                let mut told = Module::from_spirv(&words).unwrap().kernels().to_vec();
                // WGSL rounds a structure up to its alignment. SPIR-V does not tell whether it was.
                if kernel.name == "advance" {
                    let scalars = told[0].scalars.as_mut().unwrap();
                    scalars.bytes = scalars.bytes.next_multiple_of(16);
                }
                assert_eq!(told, std::slice::from_ref(kernel));
                kernels += 1;
            }
        }
    }
    assert!(kernels >= 20, "{kernels}");
}

#[test]
fn words_and_names_are_kept() {
    let wgsl = Module::from_wgsl(include_str!("in/saxpy.wgsl")).unwrap();
    let words = wgsl.spirv("saxpy", &SpirvOptions::default()).unwrap();
    let module = Module::from_spirv(&words).unwrap();
    assert_eq!(
        module
            .spirv("saxpy", &SpirvOptions::new(BoundsChecks::Unchecked))
            .unwrap(),
        words
    );
    assert_eq!(
        module.kernels()[0].bindings[0].name,
        "",
        "no names without debug_names"
    );
    assert!(matches!(
        module.msl("saxpy", &MslOptions::default()),
        Err(ShaderError::WrongForm { .. })
    ));
    assert!(matches!(
        module.with_constants(&[]),
        Err(ShaderError::WrongForm { .. })
    ));
    assert!(matches!(
        module.spirv("nothing", &SpirvOptions::default()),
        Err(ShaderError::UnknownKernel { .. })
    ));
}

/// Written by hand after what glslang and clspv emit, which naga never does: a buffer as a decorated uniform, a
/// workgroup size from constants, a pointer handed to a function, decorations that narrow the access.
#[test]
fn other_compilers_habits_are_read() {
    let module = Module::from_spirv(&other_compiler::module()).unwrap();
    let kernel = module.kernel("main").unwrap();
    assert_eq!(kernel.workgroup_size, [32, 2, 1]);
    let told: Vec<_> = kernel
        .bindings
        .iter()
        .map(|binding| {
            (
                binding.group,
                binding.binding,
                binding.name.as_str(),
                binding.kind,
                binding.access,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (0, 0, "source", BindingKind::Storage, Access::Read),
            (0, 1, "target", BindingKind::Storage, Access::ReadWrite),
            (1, 0, "settings", BindingKind::Uniform, Access::Read),
        ]
    );
    assert_eq!(kernel.bindings[0].stride, Some(4));
    assert_eq!(kernel.bindings[0].bytes_min, 4);
    let scalars = kernel.scalars.as_ref().unwrap();
    assert_eq!(
        scalars.location,
        ScalarsLocation::Uniform {
            group: 1,
            binding: 0
        }
    );
    assert_eq!(
        (
            scalars.bytes,
            scalars.members[1].offset,
            scalars.members[1].kind
        ),
        (20, 16, ScalarKind::I32)
    );
    assert!(kernel.required.contains(Feature::I64));
}

/// rspirv panics on each of these, so it must never see them.
#[test]
fn literals_within_spec_constant_op_are_refused() {
    let module = |nested: u32| {
        let spec_constant_op = [5 << 16 | 52, 1, 2, nested, 3];
        [&[0x0723_0203, 0x0001_0300, 0, 10, 0][..], &spec_constant_op].concat()
    };
    for nested in [43, 50, 52, 251] {
        let error = Module::from_spirv(&module(nested)).unwrap_err().to_string();
        assert_eq!(
            error,
            "SPIR-V: OpSpecConstantOp holds an operation that it may not"
        );
    }
    for opcode in 0..600 {
        let _ = Module::from_spirv(&module(opcode));
    }
}

mod other_compiler {
    use rspirv::binary::Assemble;
    use rspirv::dr::{Builder, Operand};
    use rspirv::spirv::{
        AddressingModel, BuiltIn, Capability, Decoration, ExecutionMode, ExecutionModel,
        FunctionControl, MemoryModel, StorageClass,
    };

    #[expect(clippy::too_many_lines, reason = "one module, told from top to bottom")]
    pub(crate) fn module() -> Vec<u32> {
        let mut b = Builder::new();
        b.set_version(1, 0);
        b.capability(Capability::Shader);
        b.capability(Capability::Int64);
        b.memory_model(AddressingModel::Logical, MemoryModel::GLSL450);
        let void = b.type_void();
        let u32_ = b.type_int(32, 0);
        let i32_ = b.type_int(32, 1);
        let array = b.type_runtime_array(u32_);
        b.decorate(array, Decoration::ArrayStride, [Operand::LiteralBit32(4)]);
        let block = b.type_struct([array]);
        b.decorate(block, Decoration::BufferBlock, []);
        b.member_decorate(block, 0, Decoration::Offset, [Operand::LiteralBit32(0)]);
        let settings = b.type_struct([u32_, i32_]);
        b.decorate(settings, Decoration::Block, []);
        b.name(settings, "settings");
        b.member_decorate(settings, 0, Decoration::Offset, [Operand::LiteralBit32(0)]);
        b.member_decorate(settings, 1, Decoration::Offset, [Operand::LiteralBit32(16)]);
        let block_pointer = b.type_pointer(None, StorageClass::Uniform, block);
        let settings_pointer = b.type_pointer(None, StorageClass::Uniform, settings);
        let element = b.type_pointer(None, StorageClass::Uniform, u32_);
        let mut variable = |ty, name, group, binding| {
            let id = b.variable(ty, None, StorageClass::Uniform, None);
            if !str::is_empty(name) {
                b.name(id, name);
            }
            b.decorate(
                id,
                Decoration::DescriptorSet,
                [Operand::LiteralBit32(group)],
            );
            b.decorate(id, Decoration::Binding, [Operand::LiteralBit32(binding)]);
            id
        };
        let target = variable(block_pointer, "target", 0, 1);
        let source = variable(block_pointer, "source", 0, 0);
        let _unused = variable(block_pointer, "unused", 0, 2);
        let settings = variable(settings_pointer, "", 1, 0);
        b.decorate(source, Decoration::NonWritable, []);
        let zero = b.constant_bit32(u32_, 0);
        let (x, y, z) = (
            b.spec_constant_bit32(u32_, 32),
            b.constant_bit32(u32_, 2),
            b.constant_bit32(u32_, 1),
        );
        let three = b.type_vector(u32_, 3);
        let size = b.spec_constant_composite(three, [x, y, z]);
        b.decorate(
            size,
            Decoration::BuiltIn,
            [Operand::BuiltIn(BuiltIn::WorkgroupSize)],
        );

        let takes_pointer = b.type_function(void, [element]);
        let callee = b
            .begin_function(void, None, FunctionControl::NONE, takes_pointer)
            .unwrap();
        let pointer = b.function_parameter(element).unwrap();
        b.begin_block(None).unwrap();
        b.store(pointer, zero, None, []).unwrap();
        b.ret().unwrap();
        b.end_function().unwrap();

        let takes_nothing = b.type_function(void, []);
        let main = b
            .begin_function(void, None, FunctionControl::NONE, takes_nothing)
            .unwrap();
        b.begin_block(None).unwrap();
        for variable in [source, target] {
            let pointer = b
                .access_chain(element, None, variable, [zero, zero])
                .unwrap();
            b.function_call(void, None, callee, [pointer]).unwrap();
        }
        let member = b.access_chain(element, None, settings, [zero]).unwrap();
        b.load(u32_, None, member, None, []).unwrap();
        b.ret().unwrap();
        b.end_function().unwrap();
        b.entry_point(ExecutionModel::GLCompute, main, "main", []);
        b.execution_mode(main, ExecutionMode::LocalSize, [1, 1, 1]);
        b.module().assemble()
    }
}
