// A module for Node whose loading makes the GPU fault: a kernel stores to an address that is nobody's, in the context
// that the whole process shares. For bench/gpu/quick/fault.ts, which looks at what nextpatch says then.
namespace {

__global__ void store_nowhere(int* address) { *address = 1; }

}  // namespace

extern "C" void* napi_register_module_v1(void*, void* exports) {
  store_nowhere<<<1, 1>>>(reinterpret_cast<int*>(64));
  return exports;
}
