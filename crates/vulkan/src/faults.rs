//! Tests behind a table of entry points that stands between us and the driver and fails where a test says so: no driver here loses its device or runs out of memory when it should, and
//! a real GPU is never made to hang.

mod lost;
mod memory;
mod program;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::{CStr, c_void};
use std::mem::transmute;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ash::vk;

use crate::error::OpenError;
use crate::{Options, Select, VulkanDevice};

/// A call that fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fail {
    pub(super) function: &'static str,
    /// The first call that fails, from 1, and how many do.
    pub(super) at: u32,
    pub(super) times: u32,
    pub(super) result: vk::Result,
}

/// What the table does, and what it has seen.
#[derive(Default)]
struct Plan {
    /// The loader's own functions.
    real: HashMap<&'static str, usize>,
    calls: BTreeMap<&'static str, u32>,
    /// Objects made and not destroyed.
    live: BTreeMap<&'static str, i64>,
    fail: Option<Fail>,
    /// Submissions are taken and never run, as on a GPU that hangs.
    swallows: bool,
    loses: bool,
    lost: bool,
    /// The device made last.
    device: vk::Device,
    /// A loss does not wake who sleeps in the driver.
    deaf: bool,
    /// Bytes of memory that the driver gives at most.
    bytes_max: Option<u64>,
    bytes: HashMap<vk::DeviceMemory, u64>,
}

static PLAN: Mutex<Option<Plan>> = Mutex::new(None);

thread_local! {
    /// Whether devices that this thread opens go through the table.
    static OPENS: Cell<bool> = const { Cell::new(false) };
}

fn plan<T>(with: impl FnOnce(&mut Plan) -> T) -> T {
    let mut plan = PLAN.lock().unwrap_or_else(PoisonError::into_inner);
    with(plan.get_or_insert_default())
}

/// What a call returns without a word to the driver, if so.
fn verdict(function: &'static str) -> Option<vk::Result> {
    let result = plan(|it| {
        let calls = it.calls.entry(function).or_default();
        *calls += 1;
        if let Some(fail) = it.fail
            && fail.function == function
            && (fail.at..fail.at.saturating_add(fail.times)).contains(calls)
        {
            it.loses |= fail.result == vk::Result::ERROR_DEVICE_LOST;
            return Some(fail.result);
        }
        let sleeps = it.deaf && function == "vkWaitSemaphores";
        if it.lost && TELL.contains(&function) && !sleeps {
            return Some(vk::Result::ERROR_DEVICE_LOST);
        }
        let submits = function.starts_with("vkQueueSubmit");
        (it.swallows && submits).then_some(vk::Result::SUCCESS)
    });
    if plan(|it| it.loses && !it.lost) {
        lose();
    }
    result
}

/// From now on the device is lost. The real one is not: it must have nothing left to do before what it uses is destroyed.
fn lose() {
    let device = plan(|it| {
        it.lost = true;
        it.device
    });
    let call = real("vkDeviceWaitIdle");
    // SAFETY: the device lives, as calls are made to it, and no other thread of these tests submits to it now.
    let _ = unsafe { transmute::<usize, vk::PFN_vkDeviceWaitIdle>(call)(device) };
}

/// What fails on a device that is lost.
const TELL: [&str; 5] = [
    "vkQueueSubmit",
    "vkQueueSubmit2KHR",
    "vkWaitSemaphores",
    "vkGetSemaphoreCounterValue",
    "vkGetQueryPoolResults",
];

fn real(function: &'static str) -> usize {
    plan(|it| it.real.get(function).copied()).unwrap_or_default()
}

fn count(object: &'static str, change: i64) {
    plan(|it| *it.live.entry(object).or_default() += change);
}

/// Functions that return a result, and what each makes one of, if anything.
macro_rules! entries {
    ($($function:ident $type:ident $name:literal $object:literal ($($argument:ident: $kind:ty),*);)*) => {
        $(unsafe extern "system" fn $function($($argument: $kind),*) -> vk::Result {
            if let Some(result) = verdict($name) {
                return result;
            }
            // SAFETY: the loader's function of this name, whose type ash knows; the caller's arguments, passed on.
            let result = unsafe { transmute::<usize, vk::$type>(real($name))($($argument),*) };
            if result == vk::Result::SUCCESS && !$object.is_empty() {
                count($object, 1);
            }
            result
        })*

        const NAMES: &[&str] = &[$($name),*];

        fn entry(name: &str) -> Option<*const c_void> {
            match name {
                $($name => Some($function as *const c_void),)*
                _ => None,
            }
        }
    };
}

/// Functions that destroy.
macro_rules! ends {
    ($($function:ident $type:ident $name:literal $object:literal $handle:ty;)*) => {
        $(unsafe extern "system" fn $function(device: vk::Device, object: $handle, allocator: *const vk::AllocationCallbacks<'_>) {
            if object != <$handle>::null() {
                count($object, -1);
            }
            // SAFETY: as for what returns a result.
            unsafe { transmute::<usize, vk::$type>(real($name))(device, object, allocator) }
        })*

        const ENDS: &[&str] = &[$($name),*];

        fn end(name: &str) -> Option<*const c_void> {
            match name {
                $($name => Some($function as *const c_void),)*
                _ => None,
            }
        }
    };
}

type Allocator<'a> = *const vk::AllocationCallbacks<'a>;

entries! {
    create_semaphore PFN_vkCreateSemaphore "vkCreateSemaphore" "semaphore" (device: vk::Device, info: *const vk::SemaphoreCreateInfo<'_>, allocator: Allocator<'_>, made: *mut vk::Semaphore);
    create_pipeline_cache PFN_vkCreatePipelineCache "vkCreatePipelineCache" "pipeline cache" (device: vk::Device, info: *const vk::PipelineCacheCreateInfo<'_>, allocator: Allocator<'_>, made: *mut vk::PipelineCache);
    create_buffer PFN_vkCreateBuffer "vkCreateBuffer" "buffer" (device: vk::Device, info: *const vk::BufferCreateInfo<'_>, allocator: Allocator<'_>, made: *mut vk::Buffer);
    bind_buffer_memory PFN_vkBindBufferMemory "vkBindBufferMemory" "" (device: vk::Device, buffer: vk::Buffer, memory: vk::DeviceMemory, offset: vk::DeviceSize);
    map_memory PFN_vkMapMemory "vkMapMemory" "" (device: vk::Device, memory: vk::DeviceMemory, offset: vk::DeviceSize, size: vk::DeviceSize, flags: vk::MemoryMapFlags, data: *mut *mut c_void);
    create_command_pool PFN_vkCreateCommandPool "vkCreateCommandPool" "command pool" (device: vk::Device, info: *const vk::CommandPoolCreateInfo<'_>, allocator: Allocator<'_>, made: *mut vk::CommandPool);
    reset_command_pool PFN_vkResetCommandPool "vkResetCommandPool" "" (device: vk::Device, pool: vk::CommandPool, flags: vk::CommandPoolResetFlags);
    allocate_command_buffers PFN_vkAllocateCommandBuffers "vkAllocateCommandBuffers" "" (device: vk::Device, info: *const vk::CommandBufferAllocateInfo<'_>, buffers: *mut vk::CommandBuffer);
    begin_command_buffer PFN_vkBeginCommandBuffer "vkBeginCommandBuffer" "" (buffer: vk::CommandBuffer, info: *const vk::CommandBufferBeginInfo<'_>);
    end_command_buffer PFN_vkEndCommandBuffer "vkEndCommandBuffer" "" (buffer: vk::CommandBuffer);
    create_descriptor_pool PFN_vkCreateDescriptorPool "vkCreateDescriptorPool" "descriptor pool" (device: vk::Device, info: *const vk::DescriptorPoolCreateInfo<'_>, allocator: Allocator<'_>, made: *mut vk::DescriptorPool);
    allocate_descriptor_sets PFN_vkAllocateDescriptorSets "vkAllocateDescriptorSets" "" (device: vk::Device, info: *const vk::DescriptorSetAllocateInfo<'_>, sets: *mut vk::DescriptorSet);
    create_set_layout PFN_vkCreateDescriptorSetLayout "vkCreateDescriptorSetLayout" "set layout" (device: vk::Device, info: *const vk::DescriptorSetLayoutCreateInfo<'_>, allocator: Allocator<'_>, made: *mut vk::DescriptorSetLayout);
    create_pipeline_layout PFN_vkCreatePipelineLayout "vkCreatePipelineLayout" "pipeline layout" (device: vk::Device, info: *const vk::PipelineLayoutCreateInfo<'_>, allocator: Allocator<'_>, made: *mut vk::PipelineLayout);
    create_template PFN_vkCreateDescriptorUpdateTemplate "vkCreateDescriptorUpdateTemplate" "template" (device: vk::Device, info: *const vk::DescriptorUpdateTemplateCreateInfo<'_>, allocator: Allocator<'_>, made: *mut vk::DescriptorUpdateTemplate);
    create_shader_module PFN_vkCreateShaderModule "vkCreateShaderModule" "shader module" (device: vk::Device, info: *const vk::ShaderModuleCreateInfo<'_>, allocator: Allocator<'_>, made: *mut vk::ShaderModule);
    create_pipelines PFN_vkCreateComputePipelines "vkCreateComputePipelines" "pipeline" (device: vk::Device, cache: vk::PipelineCache, count: u32, infos: *const vk::ComputePipelineCreateInfo<'_>, allocator: Allocator<'_>, made: *mut vk::Pipeline);
    create_query_pool PFN_vkCreateQueryPool "vkCreateQueryPool" "query pool" (device: vk::Device, info: *const vk::QueryPoolCreateInfo<'_>, allocator: Allocator<'_>, made: *mut vk::QueryPool);
    query_results PFN_vkGetQueryPoolResults "vkGetQueryPoolResults" "" (device: vk::Device, pool: vk::QueryPool, first: u32, count: u32, size: usize, data: *mut c_void, stride: vk::DeviceSize, flags: vk::QueryResultFlags);
    calibrate PFN_vkGetCalibratedTimestampsKHR "vkGetCalibratedTimestampsEXT" "" (device: vk::Device, count: u32, infos: *const vk::CalibratedTimestampInfoKHR<'_>, times: *mut u64, deviation: *mut u64);
    cache_data PFN_vkGetPipelineCacheData "vkGetPipelineCacheData" "" (device: vk::Device, cache: vk::PipelineCache, size: *mut usize, data: *mut c_void);
    submit PFN_vkQueueSubmit "vkQueueSubmit" "" (queue: vk::Queue, count: u32, infos: *const vk::SubmitInfo<'_>, fence: vk::Fence);
    submit2 PFN_vkQueueSubmit2 "vkQueueSubmit2KHR" "" (queue: vk::Queue, count: u32, infos: *const vk::SubmitInfo2<'_>, fence: vk::Fence);
    counter PFN_vkGetSemaphoreCounterValue "vkGetSemaphoreCounterValue" "" (device: vk::Device, semaphore: vk::Semaphore, value: *mut u64);
}

ends! {
    destroy_semaphore PFN_vkDestroySemaphore "vkDestroySemaphore" "semaphore" vk::Semaphore;
    destroy_pipeline_cache PFN_vkDestroyPipelineCache "vkDestroyPipelineCache" "pipeline cache" vk::PipelineCache;
    destroy_buffer PFN_vkDestroyBuffer "vkDestroyBuffer" "buffer" vk::Buffer;
    destroy_command_pool PFN_vkDestroyCommandPool "vkDestroyCommandPool" "command pool" vk::CommandPool;
    destroy_descriptor_pool PFN_vkDestroyDescriptorPool "vkDestroyDescriptorPool" "descriptor pool" vk::DescriptorPool;
    destroy_set_layout PFN_vkDestroyDescriptorSetLayout "vkDestroyDescriptorSetLayout" "set layout" vk::DescriptorSetLayout;
    destroy_pipeline_layout PFN_vkDestroyPipelineLayout "vkDestroyPipelineLayout" "pipeline layout" vk::PipelineLayout;
    destroy_template PFN_vkDestroyDescriptorUpdateTemplate "vkDestroyDescriptorUpdateTemplate" "template" vk::DescriptorUpdateTemplate;
    destroy_shader_module PFN_vkDestroyShaderModule "vkDestroyShaderModule" "shader module" vk::ShaderModule;
    destroy_pipeline PFN_vkDestroyPipeline "vkDestroyPipeline" "pipeline" vk::Pipeline;
    destroy_query_pool PFN_vkDestroyQueryPool "vkDestroyQueryPool" "query pool" vk::QueryPool;
}

unsafe extern "system" fn allocate_memory(
    device: vk::Device,
    info: *const vk::MemoryAllocateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    made: *mut vk::DeviceMemory,
) -> vk::Result {
    if let Some(result) = verdict("vkAllocateMemory") {
        return result;
    }
    // SAFETY: the caller passes one.
    let bytes = unsafe { (*info).allocation_size };
    let full = plan(|it| {
        let held: u64 = it.bytes.values().sum();
        it.bytes_max.is_some_and(|most| held + bytes > most)
    });
    if full {
        return vk::Result::ERROR_OUT_OF_DEVICE_MEMORY;
    }
    let call = real("vkAllocateMemory");
    // SAFETY: as for the others; `made` is written on success.
    unsafe {
        let result =
            transmute::<usize, vk::PFN_vkAllocateMemory>(call)(device, info, allocator, made);
        if result == vk::Result::SUCCESS {
            plan(|it| it.bytes.insert(*made, bytes));
            count("memory", 1);
        }
        result
    }
}

unsafe extern "system" fn free_memory(
    device: vk::Device,
    memory: vk::DeviceMemory,
    allocator: *const vk::AllocationCallbacks<'_>,
) {
    count("memory", -1);
    plan(|it| it.bytes.remove(&memory));
    let call = real("vkFreeMemory");
    // SAFETY: as for the others.
    unsafe { transmute::<usize, vk::PFN_vkFreeMemory>(call)(device, memory, allocator) }
}

unsafe extern "system" fn create_device(
    physical: vk::PhysicalDevice,
    info: *const vk::DeviceCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    made: *mut vk::Device,
) -> vk::Result {
    if let Some(result) = verdict("vkCreateDevice") {
        return result;
    }
    let call = real("vkCreateDevice");
    // SAFETY: as for the others; `made` is written on success.
    unsafe {
        let result =
            transmute::<usize, vk::PFN_vkCreateDevice>(call)(physical, info, allocator, made);
        if result == vk::Result::SUCCESS {
            plan(|it| it.device = *made);
            count("device", 1);
        }
        result
    }
}

unsafe extern "system" fn destroy_device(
    device: vk::Device,
    allocator: *const vk::AllocationCallbacks<'_>,
) {
    count("device", -1);
    let call = real("vkDestroyDevice");
    // SAFETY: as for the others.
    unsafe { transmute::<usize, vk::PFN_vkDestroyDevice>(call)(device, allocator) }
}

/// A wait in the driver. One that hears of a loss wakes at once, as the specification asks; on a deaf device it goes on.
unsafe extern "system" fn wait(
    device: vk::Device,
    info: *const vk::SemaphoreWaitInfo<'_>,
    timeout: u64,
) -> vk::Result {
    let started = std::time::Instant::now();
    if let Some(result) = verdict("vkWaitSemaphores") {
        return result;
    }
    loop {
        let (lost, deaf) = plan(|it| (it.lost, it.deaf));
        if lost && !deaf {
            return vk::Result::ERROR_DEVICE_LOST;
        }
        let left = Duration::from_nanos(timeout).saturating_sub(started.elapsed());
        let slice = if deaf {
            left
        } else {
            left.min(Duration::from_millis(1))
        };
        let call = real("vkWaitSemaphores");
        let slice_ns = slice.as_nanos() as u64;
        // SAFETY: as for the others.
        let result =
            unsafe { transmute::<usize, vk::PFN_vkWaitSemaphores>(call)(device, info, slice_ns) };
        if result != vk::Result::TIMEOUT || slice == left {
            return result;
        }
    }
}

const SPECIAL: [&str; 7] = [
    "vkAllocateMemory",
    "vkFreeMemory",
    "vkCreateDevice",
    "vkDestroyDevice",
    "vkDeviceWaitIdle",
    "vkWaitSemaphores",
    "vkGetDeviceProcAddr",
];

fn special(name: &str) -> Option<*const c_void> {
    Some(match name {
        "vkAllocateMemory" => allocate_memory as *const c_void,
        "vkFreeMemory" => free_memory as *const c_void,
        "vkCreateDevice" => create_device as *const c_void,
        "vkDestroyDevice" => destroy_device as *const c_void,
        "vkWaitSemaphores" => wait as *const c_void,
        "vkGetDeviceProcAddr" => device_function as *const c_void,
        _ => return None,
    })
}

fn hook(name: &CStr) -> Option<*const c_void> {
    let name = name.to_str().ok()?;
    special(name).or_else(|| entry(name)).or_else(|| end(name))
}

/// What the device's own functions are loaded with: ours where there is one.
unsafe extern "system" fn device_function(
    device: vk::Device,
    name: *const std::ffi::c_char,
) -> vk::PFN_vkVoidFunction {
    let call = real("vkGetDeviceProcAddr");
    // SAFETY: the caller's arguments, passed on; a function that the device does not have is not replaced.
    unsafe {
        let found = transmute::<usize, vk::PFN_vkGetDeviceProcAddr>(call)(device, name)?;
        Some(hook(CStr::from_ptr(name)).map_or(found, |it| {
            transmute::<*const c_void, unsafe extern "system" fn()>(it)
        }))
    }
}

/// Whether the thread opens through the table.
pub(crate) fn opens() -> bool {
    OPENS.get()
}

/// Puts the table in front of an instance's functions, and of those of the devices made from it, if the thread opens through the table.
pub(crate) fn stand_between(entry: &ash::Entry, raw: ash::Instance) -> ash::Instance {
    if !OPENS.get() {
        return raw;
    }
    let handle = raw.handle();
    let own = |name: &CStr| {
        // SAFETY: the instance lives.
        let found = unsafe { entry.get_instance_proc_addr(handle, name.as_ptr()) };
        found.map_or(std::ptr::null(), |it| it as *const c_void)
    };
    plan(|it| {
        for name in NAMES.iter().chain(ENDS).chain(&SPECIAL) {
            let text = std::ffi::CString::new(*name).unwrap();
            it.real.insert(name, own(&text) as usize);
        }
    });
    // SAFETY: the loader's own functions for this instance, or ones of the same types.
    unsafe { ash::Instance::load_with(|name| hook(name).unwrap_or_else(|| own(name)), handle) }
}

/// The table, for one test at a time.
pub(super) struct Table(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl Table {
    pub(super) fn new() -> Self {
        static TESTS: Mutex<()> = Mutex::new(());
        let table = Self(TESTS.lock().unwrap_or_else(PoisonError::into_inner));
        table.reset();
        table
    }

    /// Nothing fails any more, and nothing was counted.
    pub(super) fn reset(&self) {
        plan(|it| *it = Plan::default());
    }

    pub(super) fn open(&self, options: &Options) -> Result<VulkanDevice, OpenError> {
        OPENS.set(true);
        let device = VulkanDevice::open(&Select::Best, options);
        OPENS.set(false);
        device
    }

    pub(super) fn fail(&self, fail: Fail) {
        plan(|it| {
            it.calls.clear();
            it.fail = Some(fail);
        });
    }

    /// From now on nothing that is submitted runs, and a loss wakes nobody if it is `deaf`.
    pub(super) fn swallow(&self, deaf: bool) {
        plan(|it| (it.swallows, it.deaf) = (true, deaf));
    }

    pub(super) fn lose(&self) {
        lose();
    }

    pub(super) fn limit(&self, bytes_max: u64) {
        plan(|it| it.bytes_max = Some(bytes_max));
    }

    pub(super) fn calls(&self) -> BTreeMap<&'static str, u32> {
        plan(|it| it.calls.clone())
    }

    /// What was made and not destroyed.
    pub(super) fn live(&self) -> BTreeMap<&'static str, i64> {
        plan(|it| {
            it.live
                .iter()
                .map(|it| (*it.0, *it.1))
                .filter(|it| it.1 != 0)
                .collect()
        })
    }
}
