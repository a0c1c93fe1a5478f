//! Tests that stand between us and a real device's functions, for what no software driver shows: it runs everything in order and keeps
//! nothing in caches, so that a missing barrier or a stale binding gives the right numbers, and it never fails.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_void};

use ash::vk;
use tidegate_core::{
    Access, Barrier, Batch, Binding, Code, Command, Device, DeviceError, Kernel, Launch, MemoryId,
    MemoryKind, PipelineId, Region, ScalarPlace, Scalars, Stages, Ticket,
};

use crate::{Options, Select, VulkanDevice};

thread_local! {
    static CALLS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// A function, how often it still goes to the driver, and what it returns after that without a word to the driver.
    static FAILS: Cell<Option<(&'static str, u32, vk::Result)>> = const { Cell::new(None) };
    static REAL: RefCell<Option<ash::DeviceFnV1_0>> = const { RefCell::new(None) };
}

/// Makes a function fail from its `after`th call on.
fn fail(function: &'static str, after: u32, result: vk::Result) {
    FAILS.set(Some((function, after, result)));
}

fn failure(function: &str) -> Option<vk::Result> {
    let (name, left, result) = FAILS.get().filter(|it| it.0 == function)?;
    FAILS.set(Some((name, left.saturating_sub(1), result)));
    (left == 0).then_some(result)
}

/// Functions that return what [`failure`] says, or else what the driver does.
macro_rules! failing {
    ($($function:ident $name:literal ($($argument:ident: $type:ty),*);)*) => {
        $(unsafe extern "system" fn $function($($argument: $type),*) -> vk::Result {
            failure($name).unwrap_or_else(|| REAL.with_borrow(|it| match it {
                // SAFETY: the caller's arguments, passed on.
                Some(real) => unsafe { (real.$function)($($argument),*) },
                None => vk::Result::ERROR_UNKNOWN,
            }))
        })*

        fn failing(name: &CStr) -> Option<*const c_void> {
            match name.to_str() {
                $(Ok($name) => Some($function as *const c_void),)*
                _ => None,
            }
        }
    };
}

failing! {
    queue_submit "vkQueueSubmit" (queue: vk::Queue, count: u32, infos: *const vk::SubmitInfo<'_>, fence: vk::Fence);
    create_command_pool "vkCreateCommandPool" (device: vk::Device, info: *const vk::CommandPoolCreateInfo<'_>, allocator: *const vk::AllocationCallbacks<'_>, pool: *mut vk::CommandPool);
    reset_command_pool "vkResetCommandPool" (device: vk::Device, pool: vk::CommandPool, flags: vk::CommandPoolResetFlags);
    allocate_command_buffers "vkAllocateCommandBuffers" (device: vk::Device, info: *const vk::CommandBufferAllocateInfo<'_>, buffers: *mut vk::CommandBuffer);
    begin_command_buffer "vkBeginCommandBuffer" (buffer: vk::CommandBuffer, info: *const vk::CommandBufferBeginInfo<'_>);
    end_command_buffer "vkEndCommandBuffer" (buffer: vk::CommandBuffer);
    create_descriptor_pool "vkCreateDescriptorPool" (device: vk::Device, info: *const vk::DescriptorPoolCreateInfo<'_>, allocator: *const vk::AllocationCallbacks<'_>, pool: *mut vk::DescriptorPool);
    allocate_descriptor_sets "vkAllocateDescriptorSets" (device: vk::Device, info: *const vk::DescriptorSetAllocateInfo<'_>, sets: *mut vk::DescriptorSet);
}

fn note(call: String) {
    CALLS.with_borrow_mut(|it| it.push(call));
}

unsafe extern "system" fn barrier(
    _: vk::CommandBuffer,
    before: vk::PipelineStageFlags,
    after: vk::PipelineStageFlags,
    _: vk::DependencyFlags,
    count: u32,
    barriers: *const vk::MemoryBarrier<'_>,
    _: u32,
    _: *const vk::BufferMemoryBarrier<'_>,
    _: u32,
    _: *const vk::ImageMemoryBarrier<'_>,
) {
    assert_eq!(count, 1);
    // SAFETY: the caller passes one.
    let it = unsafe { &*barriers };
    let (from, to) = (it.src_access_mask, it.dst_access_mask);
    note(format!("{before:?} {from:?} > {after:?} {to:?}"));
}

unsafe extern "system" fn bind_pipeline(
    _: vk::CommandBuffer,
    _: vk::PipelineBindPoint,
    _: vk::Pipeline,
) {
    note("pipeline".to_owned());
}

unsafe extern "system" fn bind_sets(
    _: vk::CommandBuffer,
    _: vk::PipelineBindPoint,
    _: vk::PipelineLayout,
    first: u32,
    _: u32,
    _: *const vk::DescriptorSet,
    _: u32,
    _: *const u32,
) {
    note(format!("set {first}"));
}

unsafe extern "system" fn push_constants(
    _: vk::CommandBuffer,
    _: vk::PipelineLayout,
    _: vk::ShaderStageFlags,
    _: u32,
    size: u32,
    _: *const c_void,
) {
    note(format!("scalars {size}"));
}

unsafe extern "system" fn dispatch(_: vk::CommandBuffer, x: u32, y: u32, z: u32) {
    note(format!("dispatch {x} {y} {z}"));
}

fn hook(name: &CStr) -> Option<*const c_void> {
    Some(match name.to_bytes() {
        b"vkCmdPipelineBarrier" => barrier as *const c_void,
        b"vkCmdBindPipeline" => bind_pipeline as *const c_void,
        b"vkCmdBindDescriptorSets" => bind_sets as *const c_void,
        b"vkCmdPushConstants" => push_constants as *const c_void,
        b"vkCmdDispatch" => dispatch as *const c_void,
        _ => return failing(name),
    })
}

/// A device some of whose functions only say that they were called.
fn open() -> VulkanDevice {
    open_with(false)
}

fn open_with(validation: bool) -> VulkanDevice {
    let options = Options {
        validation,
        push_descriptors: false,
        synchronization2: false,
        drop_wait_ns: 10_000_000,
        ..Options::default()
    };
    let mut device = VulkanDevice::open(&Select::Best, &options).unwrap();
    FAILS.set(None);
    REAL.set(Some(device.device.raw.fp_v1_0().clone()));
    let handle = device.device.raw.handle();
    let real = device.instance.raw.fp_v1_0().get_device_proc_addr;
    // SAFETY: the functions are the driver's own for this device, or have the same types as those they stand for.
    device.device.raw = unsafe {
        ash::Device::load_with(
            |name| {
                hook(name).unwrap_or_else(|| {
                    real(handle, name.as_ptr()).map_or(std::ptr::null(), |it| it as *const c_void)
                })
            },
            handle,
        )
    };
    device
        .allocate(MemoryId(0), 4096, MemoryKind::Device)
        .unwrap();
    device
}

fn calls(device: &VulkanDevice, batch: &Batch) -> Vec<String> {
    CALLS.take();
    let value = device.completed(0).unwrap() + 1;
    let ticket = Ticket { queue: 0, value };
    device.submit(batch, ticket).unwrap();
    assert!(device.wait(ticket, 10_000_000_000).unwrap());
    CALLS.take()
}

/// A kernel that binds one buffer in `group` and takes `bytes` bytes of scalars.
fn pipeline(device: &VulkanDevice, id: u32, group: u32, bytes: u32) -> PipelineId {
    let scalars = format!(
        "struct S {{ a: array<u32, {}> }} var<immediate> s: S;",
        bytes.max(4) / 4
    );
    let wgsl = format!(
        "{} @group({group}) @binding(0) var<storage, read_write> x: array<u32>;
        @compute @workgroup_size(1) fn main() {{ x[0] = {}; }}",
        if bytes > 0 { &scalars } else { "" },
        if bytes > 0 { "s.a[0]" } else { "1u" },
    );
    let module = naga::front::wgsl::parse_str(&wgsl).unwrap();
    let all = naga::valid::Capabilities::all();
    let info = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), all)
        .validate(&module)
        .unwrap();
    let options = naga::back::spv::Options::default();
    let words = naga::back::spv::write_vec(&module, &info, &options, None).unwrap();
    let kernel = Kernel {
        name: "main".to_owned(),
        workgroup_size: [1, 1, 1],
        bindings: vec![Binding {
            group,
            binding: 0,
            name: "x".to_owned(),
            access: Access::ReadWrite,
            uniform: false,
            bytes_min: 4,
        }],
        scalars: (bytes > 0).then_some(Scalars {
            place: ScalarPlace::PushConstants,
            bytes,
            members: Vec::new(),
        }),
    };
    let id = PipelineId(id);
    device
        .create_pipeline(id, &kernel, &Code::Spirv(words))
        .unwrap();
    id
}

fn launch(batch: &mut Batch, pipeline: PipelineId, offset: u64, scalars: &[u8]) {
    let region = Region {
        memory: MemoryId(0),
        offset,
        bytes: 256,
    };
    let bindings = batch.push_regions([region]);
    let scalars = batch.push_data(scalars);
    batch.commands.push(Command::Launch(Launch {
        pipeline,
        bindings,
        scalars,
        grid: [3, 2, 1],
    }));
}

#[test]
fn barriers_are_those_of_the_batch_and_no_wider() {
    let device = open();
    let kernel = pipeline(&device, 0, 0, 0);
    let mut batch = Batch::default();
    launch(&mut batch, kernel, 0, &[]);
    let launched = ["pipeline", "set 0", "dispatch 3 2 1"];
    assert_eq!(calls(&device, &batch), launched);

    let compute =
        "COMPUTE_SHADER SHADER_WRITE > COMPUTE_SHADER UNIFORM_READ | SHADER_READ | SHADER_WRITE";
    let upload =
        "TRANSFER TRANSFER_WRITE > COMPUTE_SHADER UNIFORM_READ | SHADER_READ | SHADER_WRITE";
    let copy = "COMPUTE_SHADER SHADER_WRITE > TRANSFER TRANSFER_READ | TRANSFER_WRITE";
    let host = "COMPUTE_SHADER SHADER_WRITE > HOST HOST_READ";
    for (before, after, expected) in [
        (Stages::COMPUTE, Stages::COMPUTE, compute),
        (Stages::TRANSFER, Stages::COMPUTE, upload),
        (Stages::COMPUTE, Stages::TRANSFER, copy),
    ] {
        let it = Barrier { before, after };
        batch.clear();
        batch.opening = it;
        launch(&mut batch, kernel, 0, &[]);
        batch.commands.push(Command::Barrier(it));
        launch(&mut batch, kernel, 0, &[]);
        batch.host_reads = true;
        let mut all = vec![expected];
        all.extend(launched);
        // The second launch finds everything bound.
        all.extend([expected, launched[2], host]);
        assert_eq!(calls(&device, &batch), all);
    }
    // One side without stages is no dependency.
    batch.clear();
    batch.opening.before = Stages::ALL;
    launch(&mut batch, kernel, 0, &[]);
    assert_eq!(calls(&device, &batch), launched);
}

#[test]
fn what_is_bound_is_bound_once_and_again_when_it_must_be() {
    let device = open();
    let plain = pipeline(&device, 0, 0, 0);
    let twin = pipeline(&device, 1, 0, 0);
    let eight = pipeline(&device, 2, 1, 8);
    let four = pipeline(&device, 3, 1, 4);
    let mut batch = Batch::default();
    let dispatch = "dispatch 3 2 1";
    let mut expected = Vec::new();
    let mut then = |pipeline, offset, scalars: &[u8], calls: &[&'static str]| {
        launch(&mut batch, pipeline, offset, scalars);
        expected.extend_from_slice(calls);
        expected.push(dispatch);
    };
    then(plain, 0, &[], &["pipeline", "set 0"]);
    then(plain, 0, &[], &[]);
    then(plain, 256, &[], &["set 0"]);
    // Another pipeline of the same layout keeps what is bound.
    then(twin, 256, &[], &["pipeline"]);
    // Another layout keeps nothing, though the regions are the same.
    then(eight, 256, &[1; 8], &["pipeline", "set 1", "scalars 8"]);
    then(eight, 256, &[1; 8], &[]);
    then(eight, 256, &[2; 8], &["scalars 8"]);
    then(four, 256, &[2; 4], &["pipeline", "set 1", "scalars 4"]);
    // Nor does it when the scalars are the same too.
    then(eight, 256, &[2; 4], &["pipeline", "set 1", "scalars 4"]);
    // Whole words only.
    then(eight, 256, &[3; 3], &["scalars 4"]);
    then(plain, 256, &[], &["pipeline", "set 0"]);
    assert_eq!(calls(&device, &batch), expected);
    // A new batch starts with nothing bound.
    batch.clear();
    launch(&mut batch, plain, 256, &[]);
    assert_eq!(calls(&device, &batch), ["pipeline", "set 0", dispatch]);
}

#[test]
fn a_submission_without_memory_may_be_made_again() {
    let device = open();
    let kernel = pipeline(&device, 0, 0, 0);
    let mut batch = Batch::default();
    launch(&mut batch, kernel, 0, &[]);
    let ticket = Ticket { queue: 0, value: 7 };
    for result in [
        vk::Result::ERROR_OUT_OF_DEVICE_MEMORY,
        vk::Result::ERROR_OUT_OF_HOST_MEMORY,
    ] {
        fail("vkQueueSubmit", 0, result);
        let refused = device.submit(&batch, ticket);
        assert_eq!(refused, Err(DeviceError::OutOfMemory));
        assert_eq!(device.completed(0), Ok(0));
    }
    FAILS.set(None);
    device.submit(&batch, ticket).unwrap();
    assert_eq!(device.wait(ticket, 10_000_000_000), Ok(true));
    assert_eq!(device.completed(0), Ok(7));
}

/// Before the hand-over nothing has been submitted, whatever fails: the ticket is free, and validation finds nothing left over at the end.
#[test]
fn a_submission_that_fails_half_way_leaks_nothing_and_may_be_made_again() {
    for (function, after) in [
        ("vkCreateCommandPool", 0),
        ("vkAllocateCommandBuffers", 0),
        ("vkBeginCommandBuffer", 0),
        ("vkCreateDescriptorPool", 0),
        ("vkAllocateDescriptorSets", 0),
        ("vkAllocateDescriptorSets", 1),
        ("vkEndCommandBuffer", 0),
    ] {
        let device = open_with(true);
        let log = device.validation_log();
        let kernel = pipeline(&device, 0, 0, 0);
        let mut batch = Batch::default();
        launch(&mut batch, kernel, 0, &[]);
        launch(&mut batch, kernel, 256, &[]);
        let ticket = Ticket { queue: 0, value: 7 };
        for result in [
            vk::Result::ERROR_OUT_OF_DEVICE_MEMORY,
            vk::Result::ERROR_OUT_OF_HOST_MEMORY,
            vk::Result::ERROR_UNKNOWN,
        ] {
            fail(function, after, result);
            match device.submit(&batch, ticket) {
                Err(DeviceError::OutOfMemory) if result != vk::Result::ERROR_UNKNOWN => {}
                Err(DeviceError::Refused { detail }) if detail.contains(function) => {}
                other => panic!("{function}: {other:?}"),
            }
            assert_eq!(device.completed(0), Ok(0));
        }
        FAILS.set(None);
        let dispatch = "dispatch 3 2 1";
        let expected = ["pipeline", "set 0", dispatch, "set 0", dispatch];
        assert_eq!(calls(&device, &batch), expected, "{function}");
        // What cannot be reset is not used again.
        fail("vkResetCommandPool", 0, vk::Result::ERROR_UNKNOWN);
        assert_eq!(calls(&device, &batch), expected, "{function}");
        drop(device);
        assert_eq!(log.messages(), Vec::<String>::new(), "{function}");
    }
}

#[test]
fn a_submission_that_loses_the_device_says_so() {
    let device = open();
    let kernel = pipeline(&device, 0, 0, 0);
    let mut batch = Batch::default();
    launch(&mut batch, kernel, 0, &[]);
    fail("vkQueueSubmit", 0, vk::Result::ERROR_DEVICE_LOST);
    let ticket = Ticket { queue: 0, value: 1 };
    let lost = device.submit(&batch, ticket);
    assert!(
        matches!(&lost, Err(DeviceError::Lost { detail }) if detail.contains("ERROR_DEVICE_LOST")),
        "{lost:?}"
    );
    FAILS.set(None);
    assert_eq!(device.submit(&batch, ticket), lost);
    assert_eq!(device.wait(ticket, u64::MAX).map(|_| ()), lost);
}

/// Work that never ends: a wait is bounded, and so is the drop, which abandons the device rather than destroy what may be in use.
#[test]
fn a_stalled_device_neither_hangs_nor_is_destroyed() {
    let device = open();
    let kernel = pipeline(&device, 0, 0, 0);
    let mut batch = Batch::default();
    launch(&mut batch, kernel, 0, &[]);
    fail("vkQueueSubmit", 0, vk::Result::SUCCESS);
    let ticket = Ticket { queue: 0, value: 1 };
    device.submit(&batch, ticket).unwrap();
    assert_eq!(device.wait(ticket, 2_000_000), Ok(false));
    assert_eq!(device.completed(0), Ok(0));
    let instance = std::sync::Arc::downgrade(&device.instance);
    drop(device);
    assert!(
        instance.strong_count() > 0,
        "the instance must outlive what runs"
    );
}
