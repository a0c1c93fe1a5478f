// What TVM wants as C++ classes. Everything is passed on to Rust; see the files beside this one, which define the functions named below.
//
// A function of Rust returns 0, or -1 and keeps the error's text for `tidegate_error` on this thread.
#include <tvm/ffi/container/array.h>
#include <tvm/ffi/container/map.h>
#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/error.h>
#include <tvm/ffi/extra/c_env_api.h>
#include <tvm/ffi/extra/module.h>
#include <tvm/ffi/function.h>
#include <tvm/ffi/reflection/registry.h>
#include <tvm/runtime/device_api.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace ffi = tvm::ffi;
using tvm::Device;

// Bytes that somebody else owns.
struct Text {
  const char* data;
  size_t size;
};

// What an attribute, or an entry of the counters, may be.
struct Value {
  int32_t kind;  // 0: none, 1: a number, 2: a text, valid until the thread's next call
  int64_t number;
  Text text;
};

extern "C" {
Text tidegate_error();
int32_t tidegate_attribute(DLDevice device, int32_t kind, Value* value);
int32_t tidegate_property(DLDevice device, Text name, Value* value);
int32_t tidegate_set_device(DLDevice device);
int32_t tidegate_allocate(DLDevice device, size_t bytes, size_t alignment, void** address);
int32_t tidegate_free(DLDevice device, void* address);
int32_t tidegate_copy(const DLTensor* from, const DLTensor* to, void* stream);
int32_t tidegate_stream_create(DLDevice device, void** stream);
int32_t tidegate_stream_free(DLDevice device, void* stream);
int32_t tidegate_stream_check(DLDevice device, void* stream);
int32_t tidegate_stream_synchronize(DLDevice device, void* stream);
int32_t tidegate_stream_order(DLDevice device, void* before, void* after);
int32_t tidegate_module_create(int32_t device_type, Text format, void** module);
int32_t tidegate_module_add(void* module, Text name, Text code, Text shown, const DLDataType* types, size_t types_len,
                            const Text* tags, size_t tags_len);
int32_t tidegate_module_load(int32_t device_type, Text bytes, void** module);
int32_t tidegate_module_save(void* module, Text* bytes);
int32_t tidegate_module_source(void* module, Text format, Text* source);
int32_t tidegate_module_kernel(void* module, Text name, void** kernel);
void tidegate_module_drop(void* module);
int32_t tidegate_kernel_launch(void* kernel, const TVMFFIAny* arguments, int32_t len);
void tidegate_kernel_drop(void* kernel);
int32_t tidegate_timer_start(DLDevice device, void** timer);
int32_t tidegate_timer_stop(void* timer);
int32_t tidegate_timer_elapsed(void* timer, int64_t* ns);
void tidegate_timer_drop(void* timer);
int32_t tidegate_counter(int32_t index, Value* value);
int32_t tidegate_counters_reset();
int32_t tidegate_set_policy(Text name);
int32_t tidegate_set_checks(int32_t on);
int32_t tidegate_trace_start();
int32_t tidegate_trace_stop(int32_t index, Value* timeline, Text* kernels);
}

namespace {

[[noreturn]] void Throw() {
  Text text = tidegate_error();
  throw ffi::Error("TidegateError", std::string(text.data, text.size), "");
}

void Check(int32_t status) {
  if (status != 0) Throw();
}

Text View(const ffi::String& s) { return {s.data(), s.size()}; }
Text View(const ffi::Bytes& s) { return {s.data(), s.size()}; }

ffi::Any Take(const Value& value) {
  if (value.kind == 1) return value.number;
  if (value.kind == 2) return ffi::String(value.text.data, value.text.size);
  return nullptr;
}

class Api final : public tvm::runtime::DeviceAPI {
 public:
  void SetDevice(Device device) final { Check(tidegate_set_device(device)); }

  void GetAttr(Device device, tvm::runtime::DeviceAttrKind kind, ffi::Any* result) final {
    Value value{};
    Check(tidegate_attribute(device, kind, &value));
    *result = Take(value);
  }

  void GetTargetProperty(Device device, const std::string& property, ffi::Any* result) final {
    Value value{};
    Check(tidegate_property(device, {property.data(), property.size()}, &value));
    *result = Take(value);
  }

  void* AllocDataSpace(Device device, size_t bytes, size_t alignment, DLDataType) final {
    void* address = nullptr;
    Check(tidegate_allocate(device, bytes, alignment, &address));
    return address;
  }

  // Tensors are freed by destructors, which must not throw: the next call says what was wrong.
  void FreeDataSpace(Device device, void* address) final { tidegate_free(device, address); }

  // Called by compiled code, which looks for a null pointer and cannot be unwound.
  void* AllocWorkspace(Device device, size_t bytes, DLDataType) final {
    void* address = nullptr;
    if (tidegate_allocate(device, bytes, tvm::runtime::kTempAllocaAlignment, &address) != 0) {
      Text text = tidegate_error();
      TVMFFIErrorSetRaisedFromCStr("TidegateError", std::string(text.data, text.size).c_str());
    }
    return address;
  }

  void FreeWorkspace(Device device, void* address) final { tidegate_free(device, address); }

  void CopyDataFromTo(DLTensor* from, DLTensor* to, TVMStreamHandle stream) final {
    Check(tidegate_copy(from, to, stream));
  }

  TVMStreamHandle CreateStream(Device device) final {
    void* stream = nullptr;
    Check(tidegate_stream_create(device, &stream));
    return stream;
  }

  void FreeStream(Device device, TVMStreamHandle stream) final { Check(tidegate_stream_free(device, stream)); }

  void StreamSync(Device device, TVMStreamHandle stream) final { Check(tidegate_stream_synchronize(device, stream)); }

  void SetStream(Device device, TVMStreamHandle stream) final {
    Check(tidegate_stream_check(device, stream));
    DeviceAPI::SetStream(device, stream);
  }

  void SyncStreamFromTo(Device device, TVMStreamHandle before, TVMStreamHandle after) final {
    Check(tidegate_stream_order(device, before, after));
  }

  bool SupportsDevicePointerArithmeticsOnHost() final { return true; }

 protected:
  void CopyDataFromTo(const void* from, size_t from_offset, void* to, size_t to_offset, size_t bytes, Device from_device,
                      Device to_device, DLDataType, TVMStreamHandle stream) final {
    int64_t len = static_cast<int64_t>(bytes);
    DLDataType byte{kDLUInt, 8, 1};
    DLTensor source{const_cast<void*>(from), from_device, 1, byte, &len, nullptr, from_offset};
    DLTensor target{to, to_device, 1, byte, &len, nullptr, to_offset};
    Check(tidegate_copy(&source, &target, stream));
  }
};

// The fields of TVM's `runtime.FunctionInfo`, whose header is not among the installed ones.
struct FunctionInfo : public ffi::Object {
  ffi::String name;
  ffi::Array<DLDataType> arg_types;
  ffi::Array<ffi::String> launch_param_tags;
};

class Module final : public ffi::ModuleObj {
 public:
  Module(const char* kind, void* rust) : kind_(kind), rust_(rust) {}
  ~Module() { tidegate_module_drop(rust_); }

  const char* kind() const final { return kind_; }

  int GetPropertyMask() const final { return ffi::Module::kBinarySerializable | ffi::Module::kRunnable; }

  ffi::Optional<ffi::Function> GetFunction(const ffi::String& name) final {
    void* kernel = nullptr;
    Check(tidegate_module_kernel(rust_, View(name), &kernel));
    if (kernel == nullptr) return std::nullopt;
    std::shared_ptr<void> owned(kernel, tidegate_kernel_drop);
    return ffi::Function([owned](ffi::PackedArgs arguments, ffi::Any*) {
      auto raw = reinterpret_cast<const TVMFFIAny*>(arguments.data());
      Check(tidegate_kernel_launch(owned.get(), raw, arguments.size()));
    });
  }

  ffi::Bytes SaveToBytes() const final {
    Text bytes{};
    Check(tidegate_module_save(rust_, &bytes));
    return ffi::Bytes(bytes.data, bytes.size);
  }

  ffi::String InspectSource(const ffi::String& format) const final {
    Text source{};
    Check(tidegate_module_source(rust_, View(format), &source));
    return ffi::String(source.data, source.size);
  }

 private:
  const char* kind_;
  void* rust_;
};

ffi::Module Create(const char* kind, int32_t device_type, ffi::Map<ffi::String, ffi::Bytes> code, ffi::String format,
                   ffi::Map<ffi::String, ffi::Any> infos, ffi::Map<ffi::String, ffi::String> shown) {
  void* rust = nullptr;
  Check(tidegate_module_create(device_type, View(format), &rust));
  auto module = ffi::make_object<Module>(kind, rust);
  for (const auto& [name, bytes] : code) {
    auto found = infos.find(name);
    auto object = found == infos.end() ? nullptr : (*found).second.as<ffi::Object>();
    if (object == nullptr || object->GetTypeKey() != "runtime.FunctionInfo") {
      TVM_FFI_THROW(ValueError) << "kernel `" << name << "` comes without a description of its arguments";
    }
    auto info = static_cast<const FunctionInfo*>(object);
    std::vector<DLDataType> types(info->arg_types.begin(), info->arg_types.end());
    std::vector<ffi::String> tags(info->launch_param_tags.begin(), info->launch_param_tags.end());
    std::vector<Text> views;
    for (const auto& tag : tags) views.push_back(View(tag));
    auto source = shown.find(name);
    ffi::String text = source == shown.end() ? ffi::String() : (*source).second;
    Check(tidegate_module_add(rust, View(name), View(bytes), View(text), types.data(), types.size(), views.data(),
                              views.size()));
  }
  return ffi::Module(module);
}

ffi::Module Load(const char* kind, int32_t device_type, ffi::Bytes bytes) {
  void* rust = nullptr;
  Check(tidegate_module_load(device_type, View(bytes), &rust));
  return ffi::Module(ffi::make_object<Module>(kind, rust));
}

// TVM's `runtime.TimerNode`, whose header includes one that is not installed.
class TimerNode : public ffi::Object {
 public:
  virtual void Start() = 0;
  virtual void Stop() = 0;
  virtual int64_t SyncAndGetElapsedNanos() = 0;
  virtual ~TimerNode() {}
  static constexpr const bool _type_mutable = true;
  TVM_FFI_DECLARE_OBJECT_INFO("runtime.TimerNode", TimerNode, ffi::Object);
};

class Timer final : public TimerNode {
 public:
  explicit Timer(Device device) : device_(device) {}
  ~Timer() { tidegate_timer_drop(rust_); }
  // Started again, it measures anew.
  void Start() final {
    tidegate_timer_drop(rust_);
    rust_ = nullptr;
    Check(tidegate_timer_start(device_, &rust_));
  }
  void Stop() final { Check(tidegate_timer_stop(rust_)); }
  int64_t SyncAndGetElapsedNanos() final {
    int64_t ns = 0;
    Check(tidegate_timer_elapsed(rust_, &ns));
    return ns;
  }
  TVM_FFI_DECLARE_OBJECT_INFO_FINAL("tidegate.Timer", Timer, TimerNode);

 private:
  Device device_;
  void* rust_ = nullptr;
};

// TVM's own Metal runtime has registered before, where there is one.
void Set(const std::string& key, ffi::Function f) { ffi::Function::SetGlobal(key, f, true); }

void Register(const std::string& name, int32_t device_type) {
  // Never destroyed: tensors that outlive everything are freed through it.
  static const std::string* names[256];
  names[device_type] = new std::string(name);
  const char* kind = names[device_type]->c_str();
  Api* api = new Api();
  Set("device_api." + name, ffi::Function::FromPacked([api](ffi::PackedArgs, ffi::Any* result) {
        *result = static_cast<void*>(static_cast<tvm::runtime::DeviceAPI*>(api));
      }));
  // TVM keeps the first that it has used, and modules of ours would be launched with its addresses.
  if (tvm::runtime::DeviceAPI::Get(Device{static_cast<DLDeviceType>(device_type), 0}, true) != api) {
    throw std::runtime_error("another runtime's device `" + name +
                             "` has been used already: import tidegate_tvm first, before anything else uses the device");
  }
  Set("ffi.Module.create." + name,
      ffi::Function::FromTyped([kind, device_type](ffi::Map<ffi::String, ffi::Bytes> code, ffi::String format,
                                                   ffi::Map<ffi::String, ffi::Any> infos,
                                                   ffi::Map<ffi::String, ffi::String> shown) {
        return Create(kind, device_type, code, format, infos, shown);
      }));
  Set("ffi.Module.load_from_bytes." + name,
      ffi::Function::FromTyped([kind, device_type](ffi::Bytes bytes) { return Load(kind, device_type, bytes); }));
  Set("runtime.timer." + name, ffi::Function::FromTyped([](Device device) {
        return ffi::ObjectRef(ffi::make_object<Timer>(device));
      }));
  Set(name + ".GetProfileCounters", ffi::Function::FromTyped([]() {
        ffi::Map<ffi::String, int64_t> counters;
        for (int32_t index = 0;; ++index) {
          Value value{};
          Check(tidegate_counter(index, &value));
          if (value.kind != 2) return counters;
          counters.Set(ffi::String(value.text.data, value.text.size), value.number);
        }
      }));
  Set(name + ".ResetProfileCounters", ffi::Function::FromTyped([]() { Check(tidegate_counters_reset()); }));
  Set("tidegate.Property", ffi::Function::FromTyped([](Device device, ffi::String property) {
        Value value{};
        Check(tidegate_property(device, View(property), &value));
        return Take(value);
      }));
  Set("tidegate.SetChecks", ffi::Function::FromTyped([](bool on) { Check(tidegate_set_checks(on)); }));
  Set("tidegate.TraceStart", ffi::Function::FromTyped([]() { Check(tidegate_trace_start()); }));
  // A timeline and a table for each device.
  Set("tidegate.TraceStop", ffi::Function::FromTyped([]() {
        ffi::Array<ffi::String> traces;
        for (int32_t index = 0;; ++index) {
          Value timeline{};
          Text kernels{};
          Check(tidegate_trace_stop(index, &timeline, &kernels));
          if (timeline.kind != 2) return traces;
          traces.push_back(ffi::String(timeline.text.data, timeline.text.size));
          traces.push_back(ffi::String(kernels.data, kernels.size));
        }
      }));
  Set("tidegate.SetPolicy",
      ffi::Function::FromTyped([](ffi::String policy) { Check(tidegate_set_policy(View(policy))); }));
}

}  // namespace

// Registers a device type under its name. Returns null, or what was wrong, for as long as the process runs.
extern "C" const char* tidegate_bridge_register(const char* name, int32_t device_type) {
  try {
    Register(name, device_type);
    return nullptr;
  } catch (const std::exception& error) {
    return (new std::string(error.what()))->c_str();
  }
}
